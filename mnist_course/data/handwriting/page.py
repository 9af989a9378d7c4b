"""A page of digits, and every step from the photograph to images that a network takes."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mnist_course.data.handwriting import lighting, pieces, rules
from mnist_course.data.handwriting.normalizing import normalized
from mnist_course.data.handwriting.pieces import Piece
from mnist_course.data.handwriting.threshold import ink_threshold
from mnist_course.errors import InputError

STEPS = (
    "illumination",
    "rules",
    "joining",
    "cutting",
    "pen",
    "box",
    "aspect ratio",
    "centre of mass",
)
"""What `find_digits` can leave out, in the order in which it is done."""

SMOOTHING = 0.8
"""Standard deviation in pixels of the Gaussian that takes the camera's noise off the ink."""

LEAST = 0.95
"""A digit that the network gives less than this probability is not read.

The greatest of the values tried that still reads nine of ten training digits, on pages of all kinds
(``choice`` in the benchmark of this name). It stops wrong digits better than letters: a network that
knows digits only is sure of many letters too.
"""


@dataclass(frozen=True, eq=False)
class Page:
    """A page and what was made of it, step by step.

    Attributes
    ----------
    grey
        uint8, shape (H, W): the page as it came.
    chalk
        Whether it has light strokes on a dark ground; the steps below are of its negative then.
    light
        float32, shape (H, W): what the page would look like without ink, in grey levels.
    angle
        Degrees by which the paper's lines leant; 0 if there are none.
    ink
        float32, shape (H', W'): the share of the light that is swallowed, 0 to 1, on the page turned
        by `angle`; its shape is the page's own if that is 0.
    threshold
        Ink from which a pixel counts as written; ``None`` if nothing is written.
    rules
        bool, shape (H', W'): pixels of the paper's printed lines, which are taken out.
    mask
        bool, shape (H', W'): pixels that are written.
    digits
        The N pieces that may be digits, in reading order; their boxes are on the straightened page.
    left_out
        The other pieces, with the reason.
    specks
        Pieces too small to be counted among those.
    images
        uint8, shape (N, 28, 28): the digits as MNIST stores them.
    """

    grey: NDArray[np.uint8]
    chalk: bool
    light: NDArray[np.float32]
    angle: float
    ink: NDArray[np.float32]
    threshold: float | None
    rules: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    digits: tuple[Piece, ...]
    left_out: tuple[Piece, ...]
    specks: int
    images: NDArray[np.uint8]


def find_digits(grey: NDArray[np.uint8], *, skip: Collection[str] = ()) -> Page:
    """Find the digits on a page and bring each to 28×28 the way MNIST was made.

    Parameters
    ----------
    grey
        uint8, shape (H, W), as `mnist_course.data.pictures.read_page` returns it.
    skip
        Names of `STEPS` to leave out, to see what they are good for.

    Raises
    ------
    InputError
        No such array, no such step, or more pieces of ink than digits anybody wants read.
    """
    if not (isinstance(grey, np.ndarray) and grey.dtype == np.uint8 and grey.ndim == 2):
        came = f"{getattr(grey, 'dtype', type(grey).__name__)} of shape {np.shape(grey)}"
        raise InputError(f"the page is {came}; expected uint8 of shape (H, W), as read_page returns")
    if min(grey.shape) < pieces.SMALLEST:
        raise InputError(f"the page has shape {grey.shape}; expected at least {pieces.SMALLEST} a side")
    if unknown := set(skip) - set(STEPS):
        raise InputError(f"unknown step {min(unknown)!r}; expected some of {', '.join(STEPS)}")
    from scipy import ndimage

    chalk = lighting.is_chalk(grey)
    dark = 255 - grey if chalk else grey
    if "illumination" in skip:
        light = np.full(grey.shape, max(1, int(dark.max())), np.float32)
    else:
        light = lighting.background(dark)
    ink = ndimage.gaussian_filter(lighting.ink_of(dark, light), SMOOTHING)
    threshold = ink_threshold(ink)
    mask = ink > threshold if threshold is not None else np.zeros(ink.shape, bool)
    angle, printed, paper = 0.0, np.zeros_like(mask), np.ones_like(mask)
    if threshold is not None and "rules" not in skip:
        angle = rules.slope(mask)
        ink = rules.straightened(ink, angle)
        paper = rules.straightened(np.ones(grey.shape, np.float32), angle) > 0.5
        mask, printed = rules.without_rules(ink, ink > threshold, paper)
    edge = ~ndimage.binary_erosion(paper, np.ones((3, 3)))
    digits, left_out, specks = _pieces(mask, edge, skip)
    images = np.zeros((len(digits), 28, 28), np.uint8)
    for image, piece in zip(images, digits, strict=True):
        image[:] = normalized(piece.mask, skip)
    return Page(
        grey, chalk, light, angle, ink, threshold, printed, mask, digits, left_out, specks, images
    )


def _pieces(
    mask: NDArray[np.bool_], edge: NDArray[np.bool_], skip: Collection[str]
) -> tuple[tuple[Piece, ...], tuple[Piece, ...], int]:
    found, specks = pieces.connected(mask)
    found = pieces.at_edge(found, edge)
    if "joining" not in skip:
        found = pieces.joined(found)
    if "cutting" not in skip:
        found = pieces.separated(found)
    found = pieces.judged(found)
    digits = pieces.in_reading_order([piece for piece in found if not piece.left_out])
    return tuple(digits), tuple(piece for piece in found if piece.left_out), specks


@dataclass(frozen=True, eq=False)
class Reading:
    """What a network makes of a page.

    Attributes
    ----------
    page
        As `find_digits` returned it.
    probabilities
        float, shape (N, 10): the network's, for each of ``page.images``.
    least
        A piece whose greatest probability is below is not read: it is a letter, or illegible.
    """

    page: Page
    probabilities: NDArray[np.floating]
    least: float = LEAST

    def __post_init__(self) -> None:
        expected = (len(self.page.digits), 10)
        if np.shape(self.probabilities) != expected:
            raise InputError(
                f"probabilities have shape {np.shape(self.probabilities)}; expected {expected},"
                " a row for each of page.images"
            )

    @cached_property
    def labels(self) -> NDArray[np.intp]:
        """The likeliest digit of each piece, shape (N,)."""
        return np.asarray(np.argmax(self.probabilities, axis=1))

    @cached_property
    def confidence(self) -> NDArray[np.floating]:
        """Its probability, shape (N,)."""
        return np.asarray(np.max(self.probabilities, axis=1, initial=0))

    @cached_property
    def read(self) -> NDArray[np.bool_]:
        """Whether it is at least `least`, shape (N,)."""
        return self.confidence >= self.least

    @property
    def lines(self) -> list[str]:
        """The digits, a string for each line of writing, with ``?`` for what was not read."""
        rows: dict[int, str] = {}
        for piece, label, read in zip(self.page.digits, self.labels, self.read, strict=True):
            rows[piece.row] = rows.get(piece.row, "") + (str(label) if read else "?")
        return list(rows.values())
