"""From stored bytes to what a network takes: scaled pixels, in an order fixed by seed and epoch.

The checks say which of the two came when it should have been the other: bytes (N, 28, 28), or floats in
[0, 1] with a channel axis, last in NumPy and Keras and first in PyTorch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError

BRIGHTEST = 16.0
"""No image scaled to [0, 1] or standardised over all pixels comes near it; images of bytes exceed it."""


def scale(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Map pixel bytes 0…255 to float32 in [0, 1], the input of every network of the course.

    Raises
    ------
    InputError
        The pixels are no bytes. Floats may be scaled already, and nobody can tell from a dark image.

    >>> scale(np.array([[0, 255]], np.uint8))
    array([[0., 1.]], dtype=float32)
    """
    if images.dtype != np.uint8:
        raise InputError(f"images are {images.dtype}; expected uint8{_as_bytes(images)}")
    return np.multiply(images, np.float32(1 / 255), dtype=np.float32)


def epoch_order(count: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which an epoch visits `count` examples: a permutation, shape (count,).

    It depends on nothing but `seed` and `epoch` (counted from 0). So the three wings see the same
    batches, and a resumed run continues with the batches that an uninterrupted run would have seen.
    """
    return np.random.default_rng([seed, epoch]).permutation(count)


def require_bytes(images: NDArray[Any]) -> None:
    """Refuse what are no stored images: uint8, shape (N, 28, 28).

    Raises
    ------
    InputError
        Another type or shape. The message names the conversion where there is an obvious one.
    """
    shape = images.shape
    if images.dtype == np.uint8 and len(shape) == 3 and shape[1:] == (28, 28):
        return
    advice = {
        (28, 28, 1): "; images[..., 0] drops the channel axis",
        (1, 28, 28): "; images[:, 0] drops the channel axis",
        (784,): "; images.reshape(-1, 28, 28) restores rows and columns",
    }.get(shape[1:], "")
    if shape == (28, 28):
        advice = "; images[np.newaxis] is a batch of one"
    raise InputError(
        f"images are {images.dtype} of shape {shape}; expected uint8 of shape (N, 28, 28)"
        + advice
        + _as_bytes(images)
    )


def require_digits(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Refuse a network's input unless its shape is ``(N, *expected)``.

    Parameters
    ----------
    shape
        Of the batch.
    expected
        Of one image, the channels included: (H, W, C) or (C, H, W).

    Raises
    ------
    InputError
        Another shape. The message names swapped channels and a missing axis as such.
    """
    if shape[1:] == expected and len(shape) == len(expected) + 1:
        return
    advice = ""
    if len(expected) == 3:
        last = expected[0] >= expected[2]  # channels are fewer than rows
        swapped = (expected[2], *expected[:2]) if last else (*expected[1:], expected[0])
        plain = expected[:2] if last else expected[1:]
        if shape[1:] == swapped:
            order = (
                "first: pass np.moveaxis(images, 1, -1)" if last else "last: pass images.movedim(-1, 1)"
            )
            advice = f"; the channels stand {order}"
        elif shape[1:] == plain:
            advice = f"; add the channel axis: images[{'..., None' if last else ':, None'}]"
    if shape == expected:
        advice = "; images[None] is a batch of one"
    wanted = ", ".join(map(str, expected))
    raise InputError(f"images have shape {shape}, expected (N, {wanted}){advice}")


def require_scaled(images: Any) -> None:
    """Refuse float images, an array or a tensor of any shape, that are still bytes in disguise.

    Raises
    ------
    InputError
        No pixel is negative and the largest is far above 1.
    """
    if images.size if isinstance(images, np.ndarray) else images.numel():
        largest = float(images.max())
        if largest > BRIGHTEST and float(images.min()) >= 0:
            raise InputError(
                f"pixels reach {largest:g}, expected 0 to 1; divide bytes by 255,"
                " or use mnist_course.data.scale on uint8 images"
            )


def _as_bytes(images: NDArray[Any]) -> str:
    if not np.issubdtype(images.dtype, np.floating) or not images.size:
        return ""
    factor = "" if images.max() > 1 else "255 * "
    return f"; np.rint({factor}images).astype(np.uint8) makes bytes, which are scaled here"
