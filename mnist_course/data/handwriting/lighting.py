"""Even light: from grey levels, which are paper times lamp, to how much ink lies at each pixel."""

import numpy as np
from numpy.typing import NDArray

REDUCED = 200
"""The longer side of the small page on which the light is estimated: it changes slowly."""

WIDEST_STROKE = 0.25
"""Of the page's shorter side; what is dark and wider than this is a shadow, not ink."""


def is_chalk(grey: NDArray[np.uint8]) -> bool:
    """Tell light strokes on a dark board from dark ink on light paper.

    Strokes cover the smaller part of their surroundings, so the median over a wide window is the
    board or paper; what differs from it most is the writing. The edge of a shadow differs as much, but
    only what is narrow as well counts: what a closing or an opening takes away.

    Parameters
    ----------
    grey
        uint8, shape (H, W).
    """
    from scipy import ndimage

    small, coarse = _reduced(grey, REDUCED), _reduced(grey, 64)
    surroundings = ndimage.median_filter(coarse, max(3, min(coarse.shape) // 2), mode="nearest")
    difference = small - _resized(surroundings, small.shape)
    window = _window(small)
    padded = np.pad(small, window, mode="edge")
    inside = (slice(window, -window), slice(window, -window))
    light, dark = (
        np.minimum(np.maximum(sign * difference, 0), narrow(padded, (window, window))[inside])
        for sign, narrow in ((1, ndimage.white_tophat), (-1, ndimage.black_tophat))
    )
    return bool((light**2).sum() > (dark**2).sum())


def background(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the page would look like without the ink, by a morphological closing.

    The largest value around each pixel, then the smallest of those: what is dark and narrower than the
    window vanishes, and edges of shadows, which are wider, stay where they are (Serra, *Image Analysis
    and Mathematical Morphology*, 1982; the closing's difference from the image is its black top-hat).

    Parameters
    ----------
    grey
        uint8, shape (H, W), dark ink on light paper.

    Returns
    -------
    ndarray
        float32, shape (H, W), at least 1.
    """
    from scipy import ndimage

    small = _reduced(grey, REDUCED)
    window = _window(small)  # beyond the border the page goes on, or it would eat the corners
    padded = np.pad(small, window, mode="edge")
    closed = ndimage.grey_closing(padded, (window, window))[window:-window, window:-window]
    return np.maximum(_resized(closed, grey.shape), 1)


def ink_of(grey: NDArray[np.uint8], light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the share of the light that the ink swallows, 0 (paper) to 1: ``1 − grey / light``."""
    return np.clip(1 - grey / light, 0, 1).astype(np.float32)


def _window(small: NDArray[np.float32]) -> int:
    side: int = min(small.shape)
    return max(3, round(WIDEST_STROKE * side))


def _reduced(grey: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    from PIL import Image

    factor = max(1, max(grey.shape) / side)
    height, width = (max(1, round(length / factor)) for length in grey.shape)
    small = Image.fromarray(grey).resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def _resized(image: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    from PIL import Image

    height, width = shape
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
