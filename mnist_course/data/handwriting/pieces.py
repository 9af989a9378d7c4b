"""Pieces of ink: connected, joined, cut, judged by their shape, and put in reading order."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError

MOST = 200
"""More pieces than this on a page are no digits that somebody wants read."""

SMALLEST = 8
"""Pixels: writing that is less high cannot be told from dirt."""

# Shares of the writing's height; MNIST's training digits keep well within.
SPECK = 0.15
LOW = 0.4
GAP = 0.12
TALLEST = 1.4

# Shapes that no digit, or hardly one in a thousand of MNIST's training digits, has.
WIDEST = 1.8
"""Width over height of a digit, at most."""
THICKEST = 0.36
"""Stroke over the longer side of a digit, at most."""
TWO_WIDE = 1.4
"""Width over height from which a piece may be two digits that touch."""
LONGEST_CUT = 1.5
"""Strokes that a cut between two digits may go through: through two it would cut a 0."""
LEANS = (0.0, -0.2, 0.2, -0.4, 0.4, -0.6, 0.6)
"""Columns per row by which a cut may lean."""
LEAST_INK = 0.25
"""Of a cut piece's ink is in each part at least."""
TALL_HALF = 0.75
"""Of a cut piece's height is each part at least: a 7's bar is no digit."""

EDGE, LOW_INK, LINE, BLOB = "cut off by the edge", "too low", "a line", "a blob"


@dataclass(frozen=True, eq=False)
class Piece:
    """Ink that belongs together.

    Attributes
    ----------
    top, left
        Where its box begins, pixels of the straightened page.
    mask
        bool, shape (height, width): its ink within the box.
    row
        The line of writing, from 0 at the top.
    left_out
        Why it is no digit, empty for what may be one.
    cut
        Whether it was cut from a neighbour that it touched.
    """

    top: int
    left: int
    mask: NDArray[np.bool_]
    row: int = 0
    left_out: str = ""
    cut: bool = False

    @property
    def bottom(self) -> int:
        """The first row of pixels below."""
        return self.top + int(self.mask.shape[0])

    @property
    def right(self) -> int:
        """The first column of pixels to the right."""
        return self.left + int(self.mask.shape[1])

    @property
    def height(self) -> int:
        """Of the box, in pixels."""
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        """Of the box, in pixels."""
        return int(self.mask.shape[1])


def stroke_width(mask: NDArray[np.bool_]) -> float:
    """Return the width of the pen in pixels.

    Across a stroke of width w the distance to the paper grows from 0 to w/2 and falls again; its mean
    is w/4, and half a pixel more where distances are measured to the neighbour's centre.

    Parameters
    ----------
    mask
        bool, shape (H, W), with ink.
    """
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(np.pad(mask, 1))
    return max(1.0, 4 * float(distance[distance > 0].mean()) - 2)


def connected(mask: NDArray[np.bool_]) -> tuple[list[Piece], int]:
    """Return the connected components (8 neighbours) but specks, and the number of specks.

    Parameters
    ----------
    mask
        bool, shape (H, W).

    Raises
    ------
    InputError
        More than `MOST` components are no specks.
    """
    from scipy import ndimage

    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return [], 0
    boxes = ndimage.find_objects(labels)
    sizes = np.array([[rows.stop - rows.start, columns.stop - columns.start] for rows, columns in boxes])
    areas = np.bincount(labels.ravel())[1:]
    height = _writing(sizes[:, 0], areas)
    kept = np.flatnonzero(sizes.max(axis=1) >= max(2, SPECK * height))
    if len(kept) > MOST:
        raise InputError(
            f"the page has {len(kept):,} pieces of ink; expected at most {MOST}:"
            " photograph only the digits, on plain paper"
        )
    found = [
        Piece(rows.start, columns.start, labels[rows, columns] == index + 1)
        for index, (rows, columns) in ((index, boxes[index]) for index in kept)
    ]
    return found, count - len(kept)


def _writing(heights: NDArray[np.intp], areas: NDArray[np.intp]) -> float:
    """Return the height of the writing: half of the ink is in components at least so high."""
    order = np.argsort(heights)
    ink = np.cumsum(areas[order])
    return float(heights[order][np.searchsorted(ink, ink[-1] / 2)])


def writing_height(pieces: list[Piece]) -> float:
    """Return the height in pixels of pieces that are likely digits, 0 if there are none."""
    likely = [piece for piece in pieces if not piece.left_out]
    if not likely:
        return 0.0
    heights = np.array([piece.height for piece in likely])
    return _writing(heights, np.array([piece.mask.sum() for piece in likely]))


def at_edge(pieces: list[Piece], edge: NDArray[np.bool_]) -> list[Piece]:
    """Leave out what touches the edge of the page: a part of it is missing.

    Parameters
    ----------
    edge
        bool, shape (H, W): the outermost pixels of the page, and what lies beyond.
    """
    return [
        replace(piece, left_out=EDGE)
        if (edge[piece.top : piece.bottom, piece.left : piece.right] & piece.mask).any()
        else piece
        for piece in pieces
    ]


def joined(pieces: list[Piece]) -> list[Piece]:
    """Join the parts of a broken stroke: those that nearly touch and together are one digit high.

    Of two parts above each other the ends are no farther apart than the pen is wide. Of two beside each
    other, one must be a fragment.
    """
    height = writing_height(pieces)
    parts = [piece for piece in pieces if not piece.left_out]
    others = [piece for piece in pieces if piece.left_out]
    again = True
    while again:
        again = False
        for one in parts:
            near = [other for other in parts if other is not one and _belong(one, other, height)]
            if near:
                other = min(near, key=lambda each: _gap(one, each))
                parts = [each for each in parts if each is not one and each is not other]
                parts.append(_union(one, other))
                again = True
                break
    return parts + others


def _gap(one: Piece, other: Piece) -> int:
    down = max(one.top, other.top) - min(one.bottom, other.bottom)
    along = max(one.left, other.left) - min(one.right, other.right)
    return max(down, along, 0)


def _belong(one: Piece, other: Piece, height: float) -> bool:
    total = max(one.bottom, other.bottom) - min(one.top, other.top)
    wide = max(one.right, other.right) - min(one.left, other.left)
    if _gap(one, other) > GAP * total:
        return False
    over = min(one.right, other.right) - max(one.left, other.left)
    above = over >= 0.5 * min(one.width, other.width)
    if above and wide <= TALLEST * total:
        return _distance(one, other) <= 1 + min(stroke_width(one.mask), stroke_width(other.mask))
    if max(total, wide) > TALLEST * height:
        return False
    fragment = min(one.height, other.height) < 0.6 * height
    return fragment and (above or _distance(one, other) <= 1 + GAP / 2 * height)


def _distance(one: Piece, other: Piece) -> float:
    """Return how far apart the ink of two pieces is, in pixels."""
    from scipy import ndimage

    union = _union(one, other)
    alone = np.zeros_like(union.mask)
    top, left = one.top - union.top, one.left - union.left
    alone[top : top + one.height, left : left + one.width] = one.mask
    return float(ndimage.distance_transform_edt(~alone)[union.mask & ~alone].min(initial=np.inf))


def _union(one: Piece, other: Piece) -> Piece:
    top, left = min(one.top, other.top), min(one.left, other.left)
    bottom, right = max(one.bottom, other.bottom), max(one.right, other.right)
    mask = np.zeros((bottom - top, right - left), bool)
    for part in (one, other):
        rows = slice(part.top - top, part.bottom - top)
        mask[rows, part.left - left : part.right - left] |= part.mask
    return Piece(top, left, mask)


def separated(pieces: list[Piece]) -> list[Piece]:
    """Cut wide pieces in two where a short cut, upright or leaning, leaves two tall parts.

    Where every cut is longer than one and a half strokes, the piece stays whole: it would be a guess.
    Too wide a piece is left out by `judged`.
    """
    found = []
    for piece in pieces:
        halves = None if piece.left_out else _halves(piece)
        found += [piece] if halves is None else separated(halves)
    return found


def _halves(piece: Piece) -> list[Piece] | None:
    if piece.width < TWO_WIDE * piece.height:
        return None
    pen = stroke_width(piece.mask)
    if pen > THICKEST * piece.height:  # a dash
        return None
    limit = LONGEST_CUT * pen
    rows, columns = np.nonzero(piece.mask)
    cuts = []
    for lean in LEANS:
        place = np.rint(columns + lean * (rows - piece.height / 2)).astype(int)
        ink = np.bincount(np.clip(place, 0, piece.width), minlength=piece.width)
        middle = np.arange(round(0.2 * piece.width), round(0.8 * piece.width))
        away = np.abs(middle - piece.width / 2) / piece.width
        cuts += [
            (ink[column] + limit * far, lean, column)
            for column, far in zip(middle, away, strict=True)
            if ink[column] <= limit
        ]
    everywhere = np.indices(piece.mask.shape)
    for _, lean, column in sorted(cuts)[:20]:
        before = everywhere[1] + lean * (everywhere[0] - piece.height / 2) < column
        masks = piece.mask & before, piece.mask & ~before
        if min(mask.sum() for mask in masks) < LEAST_INK * len(rows):
            continue
        halves = [_trimmed(piece, mask) for mask in masks]
        if all(half.height >= TALL_HALF * piece.height for half in halves):
            return halves
    return None


def _trimmed(piece: Piece, mask: NDArray[np.bool_]) -> Piece:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Piece(piece.top + int(rows[0]), piece.left + int(columns[0]), mask, cut=True)


def judged(pieces: list[Piece]) -> list[Piece]:
    """Leave out what has no digit's shape: too low beside the others, a line, a blob."""
    height = max(SMALLEST, LOW * writing_height(pieces))
    return [
        piece if piece.left_out else replace(piece, left_out=_fault(piece, height)) for piece in pieces
    ]


def _fault(piece: Piece, height: float) -> str:
    if piece.width > WIDEST * piece.height:
        return LINE
    if piece.height < height:
        return LOW_INK
    thick = stroke_width(piece.mask) / max(piece.height, piece.width)
    return BLOB if thick > THICKEST else ""


def in_reading_order(pieces: list[Piece]) -> list[Piece]:
    """Sort by lines of writing from top to bottom, in each from left to right, and number the lines.

    A piece continues the line whose last piece it overlaps most in height, so that a line may lean.
    """
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda each: each.left):
        overlaps = [
            (min(piece.bottom, row[-1].bottom) - max(piece.top, row[-1].top))
            / min(piece.height, row[-1].height)
            for row in rows
        ]
        if overlaps and max(overlaps) >= 0.3:
            rows[int(np.argmax(overlaps))].append(piece)
        else:
            rows.append([piece])
    rows.sort(key=lambda row: float(np.mean([piece.top + piece.bottom for piece in row])))
    return [replace(piece, row=number) for number, row in enumerate(rows) for piece in row]
