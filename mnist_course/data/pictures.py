"""Image files in: from a PNG or JPEG to the 28×28 grey bytes that every network takes."""

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
SIDES = (8, 2048)
"""Smallest and largest side in pixels that is accepted."""


def read_picture(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a grey picture of one digit as uint8 of shape (28, 28), light ink on black.

    A picture of another size is padded to a square and resized. Dark ink on light paper, recognised by
    its light border, is inverted. Nothing is centred or scaled to MNIST's box: the digit should fill
    about two thirds of the picture.

    Raises
    ------
    InputError
        No such file, no picture, an unsupported format, colour, or a side outside 8…2048 pixels.
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked below
            with Image.open(path, formats=FORMATS) as picture:
                _check(path, picture.size, picture.mode, len(picture.getbands()))
                grey = np.asarray(picture.convert("L"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected a picture") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name the pictures in it") from None
    except UnidentifiedImageError:
        what = "is empty" if path.stat().st_size == 0 else "is not a picture that can be read"
        raise InputError(f"{path} {what}; expected one of {', '.join(FORMATS)}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged or too large: {error}") from None
    return _to_28(grey)


def _check(path: Path, size: tuple[int, int], mode: str, channels: int) -> None:
    low, high = SIDES
    if not (low <= min(size) and max(size) <= high):
        raise InputError(
            f"{path} has {size[0]}×{size[1]} pixels; expected {low} to {high} on each side,"
            " showing one digit"
        )
    if mode not in ("1", "L"):
        raise InputError(
            f"{path} has mode {mode} with {channels} channel{'s' if channels > 1 else ''};"
            " expected 8-bit grey; convert it to greyscale first"
        )


def _to_28(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if np.median(border) > 127:
        grey = 255 - grey
    if grey.shape == (28, 28):
        return grey
    height, width = grey.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side), np.uint8)
    square[top : top + height, left : left + width] = grey
    return np.asarray(Image.fromarray(square).resize((28, 28), Image.Resampling.LANCZOS))
