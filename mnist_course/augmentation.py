"""How training images are altered at random: one description that every framework's wing follows.

Chapter 10 shows what each alteration does to a digit, and where it would change the label.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError

SIDE = 28
"""Height and width of the course's images, in pixels."""


@dataclass(frozen=True)
class Augmentation:
    """How far an image may be altered; every image of a batch draws its own values, every time.

    Parameters
    ----------
    rotation
        Degrees: the angle is uniform in ±rotation.
    shift
        Pixels: the shift is uniform in ±shift, down and to the right independently of each other.
    zoom
        The size factor lies between 1 - zoom and 1 + zoom, the same for height and width.
    elastic
        (alpha, sigma) in pixels, or ``None``. Every pixel gets a random displacement, uniform in
        ±alpha in both directions; the field of displacements is then smoothed by a Gaussian of standard
        deviation sigma, which leaves displacements of about ``0.16 · alpha / sigma`` pixels.

    Raises
    ------
    InputError
        A value that is no number, or outside of what makes sense for 28 × 28 pixels.

    References
    ----------
    Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied to visual
    document analysis, 2003; they used alpha = 34 and sigma = 4 on MNIST.

    Examples
    --------
    >>> Augmentation(rotation=15)
    Augmentation(rotation=15, shift=2.0, zoom=0.1, elastic=None)
    """

    rotation: float = 10.0
    shift: float = 2.0
    zoom: float = 0.1
    elastic: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _check("rotation", self.rotation, 180, "degrees")
        _check("shift", self.shift, SIDE, "pixels")
        _check("zoom", self.zoom, 0.5, "a fraction of the size")
        if self.elastic is not None:
            try:
                alpha, sigma = self.elastic
            except (TypeError, ValueError):
                raise InputError(
                    f"elastic is {self.elastic!r}; expected (alpha, sigma) in pixels, such as (34, 4)"
                ) from None
            _check("elastic's alpha", alpha, 1000, "pixels")
            _check("elastic's sigma", sigma, 6, "pixels")
            if not sigma:
                raise InputError("elastic's sigma is 0; expected a smoothing above 0 pixels, such as 4")
            object.__setattr__(self, "elastic", (alpha, sigma))  # a list would not hash


def _check(name: str, value: float, greatest: float, unit: str) -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 <= value <= greatest:
        raise InputError(f"{name} is {value!r}; expected a number from 0 to {greatest:g}, {unit}")


def smoothing_matrix(sigma: float, size: int = SIDE) -> NDArray[np.float32]:
    """Return the matrix that smooths a column of `size` values by a Gaussian.

    Multiplied from the left it smooths an image's columns, and its transpose from the right the rows:
    a Gaussian of two dimensions is a product of two of one. Beyond the border the values count as
    mirrored about the last one, and the Gaussian ends at 4 sigma, as in torchvision.

    Parameters
    ----------
    sigma
        Standard deviation in pixels; four of them must be shorter than the column.
    size
        Length of the column.

    Returns
    -------
    ndarray
        float32, shape (size, size); every row adds up to 1.

    Raises
    ------
    InputError
        The Gaussian reaches beyond the mirror image of the column, or is no Gaussian.

    Examples
    --------
    >>> smoothing_matrix(0.5, 4).round(2)
    array([[0.79, 0.21, 0.  , 0.  ],
           [0.11, 0.79, 0.11, 0.  ],
           [0.  , 0.11, 0.79, 0.11],
           [0.  , 0.  , 0.21, 0.79]], dtype=float32)
    """
    reach = math.floor(8 * sigma + 1) // 2 if sigma > 0 else size
    if reach >= size:
        raise InputError(
            f"sigma is {sigma}; expected a number above 0 of which four are shorter than {size} pixels"
        )
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    sources = np.abs(np.arange(size)[:, None] + offsets)  # mirrored at the start
    sources = (size - 1) - np.abs((size - 1) - sources)  # and at the end
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], sources), kernel)
    return matrix.astype(np.float32)
