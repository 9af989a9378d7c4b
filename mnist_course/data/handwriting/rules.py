"""Ruled and squared paper: its slope, and its lines taken out from under the digits."""

import numpy as np
from numpy.typing import NDArray

STEEPEST = 12.0
"""Degrees that the paper's lines may lean."""

COVERED = 0.75
"""Of the page's width is dark along a printed line; writing never is."""

THICKEST = 0.02
"""Of the page's longer side is the thickest line."""

DARKER = 1.3
"""A pen this many times as dark as the lines is told from them by its darkness."""

Mask = NDArray[np.bool_]


def slope(mask: Mask) -> float:
    """Return the angle in degrees by which lines across the whole page lean, 0 if there are none.

    The ink is counted in strips that lean more and more; where the counts differ most, the strips lie
    along the lines (a Radon transform with few angles).

    Parameters
    ----------
    mask
        bool, shape (H, W).
    """
    rows, columns = (axis.astype(np.float32) for axis in np.nonzero(mask))
    if not rows.size:
        return 0.0
    some = slice(None, None, max(1, rows.size // 20_000))
    unit = max(1.0, max(mask.shape) / 400)
    coarse = np.arange(-STEEPEST, STEEPEST + 0.1, 0.25)
    best = _sharpest(rows[some] / unit, columns[some] / unit, coarse)
    best = _sharpest(rows[some], columns[some], best + np.arange(-0.3, 0.31, 0.05))
    across, down = _profiles(rows, columns, best)
    limits = COVERED * np.array(mask.shape[::-1])
    leaning = abs(np.sin(np.deg2rad(best))) * max(mask.shape) > 2  # pixels from end to end
    return best if leaning and (across.max() > limits[0] or down.max() > limits[1]) else 0.0


def _profiles(
    rows: NDArray[np.float32], columns: NDArray[np.float32], degrees: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how much ink lies in each strip along and across a direction."""
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    along = np.rint(rows * cosine + columns * sine).astype(int)
    across = np.rint(columns * cosine - rows * sine).astype(int)
    return np.bincount(along - along.min()), np.bincount(across - across.min())


def _sharpest(
    rows: NDArray[np.float32], columns: NDArray[np.float32], angles: NDArray[np.float64]
) -> float:
    scores = [
        sum(float((profile.astype(float) ** 2).sum()) for profile in _profiles(rows, columns, angle))
        for angle in angles
    ]
    return float(angles[int(np.argmax(scores))])


def straightened(image: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """Turn a page until lines that leant by `degrees` are level; new corners are 0 (paper).

    Parameters
    ----------
    image
        float32, shape (H, W); the result is larger unless `degrees` is 0.
    degrees
        As `slope` returns it.
    """
    from scipy import ndimage

    if not degrees:
        return image
    turned: NDArray[np.float32] = ndimage.rotate(image, -degrees, order=1, cval=0)
    return turned


def turned_points(
    points: NDArray[np.float64], degrees: float, before: tuple[int, ...], after: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return where points of a page lie after ``scipy.ndimage.rotate(page, degrees)``.

    Parameters
    ----------
    points
        float, shape (N, 2): rows and columns in pixels.
    degrees
        Counter-clockwise as the page is looked at; `straightened` turns by the negative of its angle.
    before, after
        The page's shapes.
    """
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    rows, columns = (points - (np.array(before) - 1) / 2).T
    moved = np.stack([cosine * rows - sine * columns, sine * rows + cosine * columns], axis=1)
    return np.asarray(moved + (np.array(after) - 1) / 2)


def printed(mask: Mask, paper: Mask) -> Mask:
    """Return the pixels of lines that cross the whole of a straightened page, level or upright.

    A line's pixels are those in its rows where the ink is no thicker than the line: a stroke that
    crosses the line is thicker there, and stays.

    Parameters
    ----------
    mask
        bool, shape (H, W): where there is ink.
    paper
        bool, shape (H, W): where the page is; the corners of one that was turned are not.
    """
    level, upright = _bands(mask, paper), _bands(mask.T, paper.T).T
    return (_thin(mask, level) | _thin(mask.T, upright.T).T) | (mask & level & upright)


def _bands(mask: Mask, paper: Mask) -> Mask:
    """Mark the rows of level lines, shape (H, 1) broadcast to (H, W)."""
    from scipy import ndimage

    near = ndimage.binary_dilation(mask, np.ones((3, 1)))  # a line may waver by a pixel
    width = paper.sum(axis=1)
    dark = near.sum(axis=1) > COVERED * np.maximum(width, width.max() / 2)  # a corner has short rows
    labels, count = ndimage.label(dark)
    thickest = max(3, round(THICKEST * max(mask.shape))) + 2
    for band in range(1, count + 1):
        if (labels == band).sum() > thickest:
            dark[labels == band] = False
    return np.broadcast_to(dark[:, None], mask.shape)


def _thin(mask: Mask, band: Mask) -> Mask:
    from scipy import ndimage

    rows = band[:, 0]
    labels, count = ndimage.label(rows)
    found = np.zeros_like(mask)
    for number in range(1, count + 1):
        line = labels == number
        thickness = max(1, int(line.sum()) - 2)
        tall = ndimage.binary_opening(mask, np.ones((thickness + 3, 1)))
        found[line] |= mask[line] & ~tall[line]
    return found


def without_rules(ink: NDArray[np.float32], mask: Mask, paper: Mask) -> tuple[Mask, Mask]:
    """Take the printed lines out of the ink of a straightened page.

    Where a pen that is darker than the lines went along one, its ink stays; a pen as dark as the lines
    loses what it wrote along them, and where it crossed them the gap is closed.

    Parameters
    ----------
    ink
        float32, shape (H, W).
    mask
        bool, shape (H, W): where there is ink.
    paper
        bool, shape (H, W): where the page is.

    Returns
    -------
    mask, rules
        bool, shape (H, W): the ink that is left, and what was taken for a line.
    """
    from scipy import ndimage

    rules = printed(mask, paper)
    if not rules.any():
        return mask, rules
    left = mask & ~rules
    kept = ndimage.binary_opening(left, np.ones((2, 2)))  # without crumbs of the lines
    line = float(np.median(ink[rules]))
    pen = float(np.percentile(ink[kept], 75)) if kept.any() else 0.0
    if pen > DARKER * line:
        left |= rules & (ink > (pen + line) / 2)
    gap = 3 + 2 * max(1, round(THICKEST * max(mask.shape) / 4))
    closed = ndimage.binary_closing(kept, np.ones((gap, 3))) | ndimage.binary_closing(
        kept, np.ones((3, gap))
    )
    return left | (rules & closed), rules
