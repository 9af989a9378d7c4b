"""Ink or no ink: Otsu's threshold, taken where there is something to decide."""

import numpy as np
from numpy.typing import NDArray

FAINTEST = 0.12
"""Ink that swallows less of the light is none."""

NOISE = 6
"""So many standard deviations of the paper's noise are not ink yet."""

_BINS = 128


def otsu(values: NDArray[np.floating]) -> float:
    """Return the threshold between two heaps of values that makes them differ most.

    For every threshold, the variance between the two classes is w₀ w₁ (μ₀ − μ₁)², with the classes'
    shares w and means μ; the threshold with the greatest is returned (Otsu, *A threshold selection
    method from gray-level histograms*, 1979, equation 18).

    Parameters
    ----------
    values
        Any shape, at least one value.

    Examples
    --------
    >>> 0.2 < otsu(np.array([0.1, 0.2, 0.1, 0.9, 0.8])) < 0.8
    True
    """
    counts, edges = np.histogram(values, bins=_BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = total / below - (total[-1] - total) / above
    between = np.where(above > 0, below * above * difference**2, 0)
    best = np.flatnonzero(between == between.max())  # every threshold in a gap is as good
    return float(edges[1:][best].mean())


def ink_threshold(ink: NDArray[np.float32]) -> float | None:
    """Return the threshold between paper and ink, ``None`` if nothing is written.

    A few digits cover a hundredth of a page, and Otsu's method would part the paper's noise instead.
    So only pixels near ink are asked, where there is about as much of one as of the other.

    Parameters
    ----------
    ink
        float32, shape (H, W), 0 (paper) to 1.
    """
    from scipy import ndimage

    middle = float(np.median(ink))
    noise = 1.4826 * float(np.median(np.abs(ink - middle)))  # of a normal distribution
    surely = ink > middle + max(FAINTEST, NOISE * noise)
    near = ndimage.maximum_filter(surely, 9)
    if not near.any():
        return None
    values = ink[near]
    threshold = otsu(values)
    if values[values > threshold].mean() - values[values <= threshold].mean() < FAINTEST:
        return None
    return threshold
