"""One piece of ink as MNIST stores a digit: 20×20 box, centre of mass, 28×28."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from mnist_course.data.handwriting.pieces import stroke_width

SIDE, BOX = 28, 20
CENTRE = 14.0
"""Row and column, counted from 0, of the centre of mass of MNIST's training digits."""

THINNEST, USUAL = 0.085, 0.105
"""Stroke over the longer side: thinner than all but a twentieth of MNIST's training digits are, and the
width that a thinner pen is given; three quarters of them are at least as thick."""


_LARGE = 160


def normalized(mask: NDArray[np.bool_], skip: Collection[str] = ()) -> NDArray[np.uint8]:
    """Return a piece of ink as MNIST's makers would have stored it.

    They scaled black and white digits to fit a 20×20 box "while preserving their aspect ratio", which
    made them grey, and placed them "by computing the center of mass of the pixels, and translating the
    image so as to position this point at the center of the 28×28 field" (LeCun et al., *Gradient-based
    learning applied to document recognition*, 1998, section III.A). A pen thinner than theirs is
    thickened first, which they had no need to do.

    Parameters
    ----------
    mask
        bool, shape (H, W), with ink.
    skip
        Steps to leave out, of ``"pen"``, ``"box"`` (fills the whole field), ``"aspect ratio"``
        (stretched to a square) and ``"centre of mass"`` (the box's middle in the field's).

    Returns
    -------
    ndarray
        uint8, shape (28, 28), ink is light.
    """
    from PIL import Image

    if "pen" not in skip:
        mask = thickened(mask)
    side = SIDE if "box" in skip else BOX
    scale = side / max(mask.shape)
    height, width = (max(1, round(scale * length)) for length in mask.shape)
    if "aspect ratio" in skip:
        height = width = side
    ink = Image.fromarray(255 * mask.astype(np.uint8))
    boxed = np.asarray(ink.resize((width, height), Image.Resampling.BOX))
    top, left = ((SIDE - length) // 2 for length in boxed.shape)
    if "centre of mass" not in skip:
        top, left = (
            _start(boxed.sum(axis=1 - axis, dtype=float), length)
            for axis, length in enumerate(boxed.shape)
        )
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[top : top + height, left : left + width] = boxed
    return image


def _start(ink: NDArray[np.float64], length: int) -> int:
    """Return the row or column at which a box begins whose centre of mass is to be in the middle."""
    centre = float(ink @ np.arange(length) / max(ink.sum(), 1))
    return int(np.clip(np.floor(CENTRE - centre + 0.5), 0, SIDE - length))


def thickened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the ink drawn with a pen of MNIST's width, if its own was thinner.

    Parameters
    ----------
    mask
        bool, shape (H, W), with ink. The result is wider and higher by as much as the pen is, and
        drawn finer if the digit was small.
    """
    from scipy import ndimage

    long = max(mask.shape)
    pen = stroke_width(mask)
    if pen >= THINNEST * long:
        return mask
    finer = -(-_LARGE // long)  # a radius of one pixel or two would be a rough one
    mask = np.repeat(np.repeat(mask, finer, axis=0), finer, axis=1)
    radius = finer * (USUAL * long - pen) / 2 / (1 - USUAL)  # the box grows with the pen
    reach = int(np.ceil(radius))
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(~np.pad(mask, reach)) <= radius
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return near[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
