"""Image files in: from a PNG or JPEG to the 28×28 grey bytes that every network takes, or to a page."""

import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
SIDES = (8, 2048)
"""Smallest and largest side in pixels of a picture of one digit."""

PAGE_PIXELS = 51_000_000
"""A page's largest size: the fifty megapixels of a telephone's camera."""

PAGE_SIDE = 1600
"""A page's longer side after reading, at most; a digit is still large enough on it."""

OBLONG = 20
"""A page's longer side is at most so many times the shorter one."""

_ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held."""


def read_picture(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a grey picture of one digit as uint8 of shape (28, 28), light ink on black.

    A picture of another size is padded to a square and resized. Dark ink on light paper, recognised by
    its light border, is inverted. Nothing is centred or scaled to MNIST's box: the digit should fill
    about two thirds of the picture. `mnist_course.data.handwriting` does both, from a page.

    Raises
    ------
    InputError
        No such file, no picture, an unsupported format, colour, or a side outside 8…2048 pixels.
    """

    def grey(picture: "Image.Image") -> NDArray[np.uint8]:
        _check_digit(shown, picture.size, picture.mode, len(picture.getbands()))
        return np.asarray(picture.convert("L"))

    shown = Path(path)
    return to_28(_opened(shown, shown, grey))


def read_page(source: str | os.PathLike[str] | BinaryIO, name: str = "the picture") -> NDArray[np.uint8]:
    """Read a photograph or scan as grey, uint8 of shape (H, W), as bright as it came.

    Colour becomes grey, 16 bits become 8, what is transparent becomes paper, and a page whose camera
    was held sideways is turned upright. A page whose longer side is above `PAGE_SIDE` is made smaller.

    Parameters
    ----------
    source
        A file's path, or a file that is open for reading bytes.
    name
        What to call an open file in messages.

    Raises
    ------
    InputError
        No such file, no picture, an unsupported format or kind of pixels, a damaged file, more than
        `PAGE_PIXELS`, a side below 8 pixels, or a page more than `OBLONG` times as long as wide.
    """

    def grey(picture: "Image.Image") -> NDArray[np.uint8]:
        _check_page(shown, picture.size)
        return _grey_page(shown, picture)

    if isinstance(source, str | os.PathLike):
        source = shown = Path(source)
    else:
        shown = Path(name)
    return _opened(source, shown, grey)


def _opened(
    source: Path | BinaryIO, path: Path, grey: Callable[["Image.Image"], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Open a picture, hand it to `grey`, and say in one line what is wrong with it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked by `grey`, damage is an error or nothing
            with Image.open(source, formats=FORMATS) as picture:
                return grey(picture)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected a picture") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name the pictures in it") from None
    except UnidentifiedImageError:
        empty = isinstance(source, Path) and source.stat().st_size == 0
        what = "is empty" if empty else "is not a picture that can be read"
        raise InputError(f"{path} {what}; expected one of {', '.join(FORMATS)}") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged or too large: {error}") from None
    except (ArithmeticError, LookupError, MemoryError, TypeError, struct.error) as error:
        # what Pillow's decoders let through when a file contradicts itself
        raise InputError(f"{path} is damaged: {type(error).__name__} {error}") from None


def _check_digit(path: Path, size: tuple[int, int], mode: str, channels: int) -> None:
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


def _check_page(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > PAGE_PIXELS:
        raise InputError(
            f"{path} has {width}×{height} pixels; expected at most {PAGE_PIXELS // 10**6} million:"
            " make it smaller, or cut out the digits"
        )
    if min(size) < SIDES[0] or max(size) > OBLONG * min(size):
        raise InputError(
            f"{path} has {width}×{height} pixels; expected at least {SIDES[0]} on each side"
            f" and one side at most {OBLONG} times the other"
        )


def _grey_page(path: Path, picture: "Image.Image") -> NDArray[np.uint8]:
    from PIL import Image

    orientation = _orientation(picture)
    smaller = min(1.0, PAGE_SIDE / max(picture.size))
    size = (max(1, round(smaller * picture.width)), max(1, round(smaller * picture.height)))
    picture.draft("L", size)  # a JPEG is decoded at about the size it is needed in
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise InputError(f"{path} has 32 bits per pixel (mode {picture.mode}); expected 8 or 16")
    if "transparency" in picture.info or "A" in picture.getbands() or "a" in picture.getbands():
        picture = _on_paper(picture.convert("RGBA"), size)
    elif picture.mode not in ("1", "L", "RGB"):
        picture = picture.convert("RGB")
    grey = picture.convert("L")
    if grey.size != size:
        grey = grey.resize(size, Image.Resampling.BOX)
    if orientation in _TURNS:
        grey = grey.transpose(_TURNS[orientation])
    return np.asarray(grey)


_TURNS: dict[int, Any] = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF orientation → Pillow's transposition that undoes it, as in ``PIL.ImageOps.exif_transpose``."""


def _orientation(picture: "Image.Image") -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block raises nearly anything, and says nothing about the pixels
        return 1


def _on_paper(picture: "Image.Image", size: tuple[int, int]) -> "Image.Image":
    """Lay a picture with transparent parts on white, or on black if its own colours are light."""
    from PIL import Image

    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BOX)
    grey, alpha = (np.asarray(band, np.float32) for band in picture.convert("LA").split())
    paper = 0 if (grey * alpha).sum() > 127.5 * alpha.sum() else 255
    laid = paper + (grey - paper) * alpha / 255
    return Image.fromarray(np.rint(laid).astype(np.uint8))


def to_28(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pad a grey picture to a square, invert it if its border is light, and resize it to 28×28."""
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
