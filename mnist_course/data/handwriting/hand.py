"""A writer who does not exist: digits drawn as strokes, with habits that are rare in MNIST.

Where a reader has no photograph at hand yet, chapter 16 fine-tunes a network on this hand.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnist_course.data.handwriting.normalizing import normalized
from mnist_course.errors import InputError

Stroke = tuple[tuple[float, float], ...]

SIZE = 140
"""Pixels that a digit is high while it is drawn."""

PLAIN: tuple[tuple[Stroke, ...], ...] = (
    (
        (
            (0.30, 0.00), (0.06, 0.22), (0.02, 0.65), (0.24, 1.00),
            (0.50, 0.80), (0.56, 0.35), (0.30, 0.00),
        ),
    ),
    (
        ((0.30, 0.00), (0.28, 0.50), (0.27, 1.00)),
    ),
    (
        ((0.03, 0.22), (0.25, 0.00), (0.50, 0.20), (0.32, 0.62), (0.03, 0.98)),
        ((0.03, 0.98), (0.58, 0.96)),
    ),
    (
        ((0.04, 0.10), (0.28, 0.00), (0.48, 0.18), (0.36, 0.40), (0.20, 0.46)),
        ((0.20, 0.46), (0.46, 0.56), (0.54, 0.78), (0.33, 0.99), (0.02, 0.92)),
    ),
    (
        ((0.18, 0.00), (0.02, 0.60)),
        ((0.02, 0.60), (0.60, 0.58)),
        ((0.45, 0.25), (0.42, 1.00)),
    ),
    (
        ((0.52, 0.02), (0.12, 0.02)),
        ((0.12, 0.02), (0.08, 0.42)),
        ((0.08, 0.42), (0.36, 0.38), (0.54, 0.66), (0.36, 0.97), (0.02, 0.92)),
    ),
    (
        (
            (0.46, 0.02), (0.18, 0.25), (0.03, 0.68), (0.22, 1.00),
            (0.50, 0.80), (0.34, 0.58), (0.06, 0.74),
        ),
    ),
    (
        ((0.00, 0.05), (0.56, 0.03)),
        ((0.56, 0.03), (0.36, 0.45), (0.24, 1.00)),
    ),
    (
        (
            (0.46, 0.16), (0.26, 0.00), (0.08, 0.18), (0.26, 0.46), (0.50, 0.80),
            (0.27, 1.00), (0.04, 0.80), (0.28, 0.46), (0.46, 0.16),
        ),
    ),
    (
        ((0.50, 0.14), (0.24, 0.00), (0.05, 0.22), (0.22, 0.46), (0.50, 0.14)),
        ((0.50, 0.14), (0.48, 0.55), (0.42, 1.00)),
    ),
)  # fmt: skip
"""For each digit its strokes: points (x, y), y down, through which the pen goes without a corner."""

HABITS: dict[str, tuple[int, Stroke]] = {
    "upstroke": (1, ((-0.12, 0.52), (0.30, 0.00))),
    "bar": (7, ((0.08, 0.50), (0.56, 0.46))),
    "slash": (0, ((0.58, -0.04), (0.00, 1.04))),
}
"""A stroke that the hand adds to one digit: a 1 as in German schools, a crossed 7, a slashed 0."""

TREMBLE, LEAN = 0.025, (0.15, 0.08)
"""Standard deviation of every point, in heights; mean and standard deviation of the lean."""

PEN = (0.09, 0.14)
"""Least and greatest width of the stroke, in heights."""


def write_digits(
    labels: ArrayLike, *, seed: int, habits: Collection[str] = tuple(HABITS)
) -> NDArray[np.uint8]:
    """Write digits as the hand does, each a little differently.

    Parameters
    ----------
    labels
        Integers 0 to 9, shape (N,).
    seed
        Of all trembling, leaning and pens.
    habits
        Some of `HABITS`.

    Returns
    -------
    ndarray
        uint8, shape (N, 28, 28), ink is light: in MNIST's box and centre, ready for `paper.write_page`.

    Raises
    ------
    InputError
        What is no digit, or an unknown habit.
    """
    wanted = np.asarray(labels)
    if wanted.ndim != 1 or wanted.dtype.kind not in "iu" or not np.isin(wanted, range(10)).all():
        raise InputError(f"labels are {labels!r}; expected integers 0 to 9 in a row")
    if unknown := set(habits) - set(HABITS):
        raise InputError(f"unknown habit {min(unknown)!r}; expected some of {', '.join(HABITS)}")
    rng = np.random.default_rng(seed)
    images = np.zeros((len(wanted), 28, 28), np.uint8)
    for image, label in zip(images, wanted, strict=True):
        added = [HABITS[name][1] for name in habits if HABITS[name][0] == label]
        image[:] = normalized(_drawn([*PLAIN[label], *added], rng))
    return images


def _drawn(strokes: Sequence[Stroke], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw strokes with a pen of any width and lean, where all ends that met still meet."""
    from scipy import ndimage

    moved = {
        point: np.array(point) + rng.normal(0, TREMBLE, 2)
        for stroke in strokes
        for point in dict.fromkeys(stroke)
    }
    lean, pen = rng.normal(*LEAN), rng.uniform(*PEN) * SIZE
    line = np.concatenate([_smooth(np.array([moved[point] for point in stroke])) for stroke in strokes])
    line[:, 0] -= lean * (line[:, 1] - 0.5)
    pixels = np.rint(SIZE * (line - line.min(axis=0)) + pen).astype(int)
    paper = np.ones(pixels.max(axis=0)[::-1] + int(np.ceil(pen)) + 1, bool)
    paper[pixels[:, 1], pixels[:, 0]] = False
    ink = ndimage.distance_transform_edt(paper) <= pen / 2
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return np.asarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _smooth(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return many points of a curve through a few, evenly spaced in its parameter."""
    from scipy.interpolate import make_interp_spline

    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    curve = make_interp_spline(along, points, k=min(3, len(points) - 1))
    return np.asarray(curve(np.linspace(0, along[-1], 4 * SIZE)))
