"""Pages to practise on: digits whose labels are known, written with a pen and photographed badly.

Everything is drawn from the seed; no photograph is involved. Digits are 28×28 images, such as MNIST's,
redrawn with a smooth stroke at `HEIGHT` pixels.
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from mnist_course.data.handwriting.rules import turned_points
from mnist_course.errors import InputError

HEIGHT = 64
"""Pixels that an image's 20×20 box is high on the page."""

DISTURBANCES = (
    "none",
    "rotation",
    "shadow",
    "ruled paper",
    "squared paper",
    "chalk",
    "thin pen",
    "thick pen",
    "broken strokes",
    "touching digits",
    "noise",
    "JPEG",
    "all at once",
)

PAPER, INK, PRINT = 0.92, 0.2, (0.25, 0.65)
"""Shares of the light that paper, pen and printed lines throw back; lines may be as dark as the pen."""

_MARGIN = HEIGHT // 2


@dataclass(frozen=True, eq=False)
class Written:
    """A page with its truth.

    Attributes
    ----------
    grey
        uint8, shape (H, W).
    centres
        float, shape (N, 2): row and column in pixels of the middle of each digit's box.
    """

    grey: NDArray[np.uint8]
    centres: NDArray[np.float64]


def write_page(images: NDArray[np.uint8], disturbance: str = "none", *, seed: int) -> Written:
    """Write digits in a row, and photograph the page.

    Parameters
    ----------
    images
        uint8, shape (N, 28, 28), light on black, N ≥ 1.
    disturbance
        One of `DISTURBANCES`.
    seed
        Of sizes, gaps, and how badly.

    Raises
    ------
    InputError
        Other images, or an unknown disturbance.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28) or not len(images):
        raise InputError(
            f"images are {images.dtype} of shape {images.shape}; expected uint8 (N, 28, 28)"
        )
    if disturbance not in DISTURBANCES:
        raise InputError(f"unknown disturbance {disturbance!r}; expected {', '.join(DISTURBANCES)}")
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    every = disturbance == "all at once"
    pen = {"thin pen": 2.0, "thick pen": 13.0}.get(disturbance)
    digits = [redrawn(image, pen) for image in images]
    if disturbance == "broken strokes":
        digits = [_broken(digit, rng) for digit in digits]
    ink, centres = _row(digits, rng, touching=disturbance == "touching digits")
    page = PAPER - (PAPER - INK) * ink
    if disturbance in ("ruled paper", "squared paper") or every:
        page = np.minimum(page, _printed(page.shape, rng, squared=disturbance == "squared paper"))
    if disturbance == "rotation" or every:
        page, centres = _turned(page, centres, rng.uniform(4, 10) * rng.choice((-1, 1)))
    if disturbance == "chalk":
        page = 1 - page
    if disturbance == "shadow" or every:
        page = page * _shadow(page.shape, rng)
    page = ndimage.gaussian_filter(page, 0.7)  # the lens
    if disturbance == "noise" or every:
        page = page + rng.normal(0, 0.05 if every else 0.1, page.shape)
    grey = np.rint(255 * np.clip(page, 0, 1)).astype(np.uint8)
    if disturbance == "JPEG" or every:
        grey = _compressed(grey, quality=30 if every else 10)
    return Written(grey, centres)


def redrawn(image: NDArray[np.uint8], pen: float | None = None) -> NDArray[np.bool_]:
    """Draw a 28×28 digit large, with a smooth outline.

    Parameters
    ----------
    image
        uint8, shape (28, 28).
    pen
        Width of the stroke in pixels, ``None`` for the digit's own.

    Returns
    -------
    ndarray
        bool, without empty rows or columns; a digit 20 pixels high becomes `HEIGHT` pixels high.
    """
    from scipy import ndimage

    large = ndimage.zoom(np.pad(image, 3).astype(np.float32), HEIGHT / 20, order=3)
    ink = ndimage.gaussian_filter(large, 1.0) > 110
    if pen is not None:
        ink = ndimage.distance_transform_edt(~thinned(ink)) <= pen / 2
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return np.asarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin ink to lines of one pixel that are connected as it was.

    Pixels of the border are taken away in turns from the south-east and the north-west, if they join
    nothing (Zhang and Suen, *A fast parallel algorithm for thinning digital patterns*, 1984).

    Parameters
    ----------
    mask
        bool, shape (H, W), no ink on the border.
    """
    ink = mask.copy()
    while True:
        before = ink.sum()
        for turn in range(2):
            # p2 … p9: the neighbours, clockwise from the north
            around = [
                np.roll(ink, shift, (0, 1))
                for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            ]
            count = np.sum(around, axis=0)
            turns = np.sum(
                [~a & b for a, b in zip(around, around[1:] + around[:1], strict=True)], axis=0
            )
            north, east, south, west = around[::2]
            if turn == 0:
                free = ~(north & east & south) & ~(east & south & west)
            else:
                free = ~(north & east & west) & ~(north & south & west)
            ink = ink & ~((count >= 2) & (count <= 6) & (turns == 1) & free)
        if ink.sum() == before:
            return ink


def _broken(digit: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Take a stripe out of a digit, as a dry pen leaves it."""
    height, width = digit.shape
    rows, columns = np.mgrid[:height, :width]
    middle = rng.uniform(0.3, 0.7) * height + rng.uniform(-0.3, 0.3) * (columns - width / 2)
    return np.asarray(digit & (np.abs(rows - middle) > HEIGHT / 32))


def _row(
    digits: list[NDArray[np.bool_]], rng: np.random.Generator, *, touching: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Put digits side by side, each a little higher or lower than the last."""
    gaps = rng.integers(HEIGHT // 8, HEIGHT // 3, len(digits))
    shifts = rng.integers(-HEIGHT // 12, HEIGHT // 12 + 1, len(digits))
    height = max(digit.shape[0] for digit in digits) + HEIGHT // 6
    width = int(gaps.sum()) + sum(digit.shape[1] for digit in digits)
    page = np.zeros((height + 2 * _MARGIN, width + 2 * _MARGIN))
    left = _MARGIN
    centres: list[tuple[float, float]] = []
    for digit, gap, shift in zip(digits, gaps, shifts, strict=True):
        top = (page.shape[0] - digit.shape[0]) // 2 + int(shift)
        if touching and len(centres) % 2:  # two and two
            left -= _apart(page[top : top + digit.shape[0]], digit, left)
        page[top : top + digit.shape[0], left : left + digit.shape[1]] += digit
        centres.append((top + digit.shape[0] / 2, left + digit.shape[1] / 2))
        left += digit.shape[1] + int(gap)
    return np.minimum(page, 1), np.array(centres)


def _apart(page: NDArray[np.float64], digit: NDArray[np.bool_], left: int) -> int:
    """Return how many columns a digit must move to the left to run into the ink before it."""
    both = digit.any(axis=1) & page.any(axis=1)
    if not both.any():
        return 0
    last = page.shape[1] - 1 - page[:, ::-1].argmax(axis=1)
    return int((left + digit.argmax(axis=1) - last)[both].min()) + 1


def _printed(shape: tuple[int, ...], rng: np.random.Generator, *, squared: bool) -> NDArray[np.float64]:
    height, width = shape
    page = np.ones((height, width))
    distance = HEIGHT // 2 if squared else round(1.1 * HEIGHT)
    start, dark = int(rng.integers(2, distance)), rng.uniform(*PRINT)
    page[np.arange(height) % distance == start] = dark
    page[np.arange(height) % distance == start - 1] = dark
    if squared:
        page[:, np.arange(width) % distance == start] = dark
        page[:, np.arange(width) % distance == start - 1] = dark
    return page


def _turned(
    page: NDArray[np.float64], centres: NDArray[np.float64], degrees: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy import ndimage

    turned = ndimage.rotate(page, degrees, order=1, mode="constant", cval=PAPER)
    return turned, turned_points(centres, degrees, page.shape, turned.shape)


def _shadow(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return light that falls off across the page, and the shadow of a hand with a soft edge."""
    from scipy import ndimage

    height, width = shape
    rows, columns = np.mgrid[:height, :width]
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * columns / width + np.sin(angle) * rows / height
    along = (along - along.min()) / np.ptp(along)
    shaded = (along > rng.uniform(0.35, 0.65)).astype(float)
    soft = ndimage.gaussian_filter(shaded, HEIGHT / 16)
    return np.asarray((1 - 0.5 * along) * (1 - 0.55 * soft))


def _compressed(grey: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(grey).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
