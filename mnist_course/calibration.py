"""Do stated probabilities match frequencies? Reliability bins, their error, and the temperature.

Chapter 9 derives and checks what is computed here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError

HIGHEST = 2.0**40
"""Where the search for 1 / T ends; a network that wants more makes no mistake worth the name."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predictions sorted into bins by their confidence; what a reliability diagram shows.

    Parameters
    ----------
    edges
        Shape (B + 1,): bin b holds the confidences in (edges[b], edges[b + 1]].
    counts
        Shape (B,): predictions in each bin.
    confidence, accuracy
        Shape (B,): mean confidence and share of right predictions in each bin; NaN in an empty one.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, 2017.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def gaps(self) -> NDArray[np.float64]:
        """Confidence minus accuracy of each bin, shape (B,); positive means overconfident."""
        return self.confidence - self.accuracy

    @property
    def error(self) -> float:
        """Expected calibration error (ECE): the mean absolute gap, bins weighted by their counts.

        Between 0 and 1. Even perfect probabilities have a positive error on finitely many images.
        """
        return float(np.nansum(self.counts * np.abs(self.gaps)) / self.counts.sum())

    @property
    def maximum_error(self) -> float:
        """The largest absolute gap of a bin (MCE), between 0 and 1."""
        return float(np.nanmax(np.abs(self.gaps)))


def calibrate(
    confidence: NDArray[Any], correct: NDArray[Any], *, bins: int = 15, adaptive: bool = False
) -> Calibration:
    """Sort predictions into bins by confidence.

    Parameters
    ----------
    confidence
        Shape (N,): the probability given to the predicted class, from 0 to 1.
    correct
        Shape (N,): whether the prediction is right.
    bins
        Number of bins, at least 1.
    adaptive
        Bins with equally many predictions instead of equal width. There are at most N of them.

    Raises
    ------
    InputError
        No prediction, arrays of different lengths, a confidence that is none, or no bin.

    Examples
    --------
    >>> result = calibrate(np.array([0.55, 0.95, 0.95]), np.array([True, True, False]), bins=2)
    >>> result.counts.tolist(), round(result.error, 3)
    ([0, 3], 0.15)
    """
    chosen, right = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    if chosen.ndim != 1 or chosen.shape != right.shape or not len(chosen):
        raise InputError(
            f"confidence has shape {chosen.shape} and correct {right.shape};"
            " expected (N,) for both, one entry per prediction and at least one"
        )
    if not (chosen.min() >= 0 and chosen.max() <= 1):  # also refuses NaN
        raise InputError("a confidence lies outside 0 to 1; pass probabilities, not logits")
    if bins < 1:
        raise InputError(f"bins is {bins}; expected at least 1")
    edges, members = (_equal_counts if adaptive else _equal_widths)(chosen, bins)
    counts = np.bincount(members, minlength=len(edges) - 1)
    with np.errstate(invalid="ignore"):  # 0 / 0 of an empty bin is the NaN it should be
        means, shares = (
            np.bincount(members, values, minlength=len(counts)) / counts for values in (chosen, right)
        )
    return Calibration(edges, counts, means, shares)


def _equal_widths(
    confidence: NDArray[np.float64], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    edges = np.linspace(0, 1, bins + 1)
    return edges, np.searchsorted(edges[1:-1], confidence, side="left")


def _equal_counts(
    confidence: NDArray[np.float64], bins: int
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    order = np.argsort(confidence, kind="stable")
    groups = np.array_split(order, min(bins, len(order)))
    members = np.empty(len(order), np.intp)
    for number, group in enumerate(groups):
        members[group] = number
    inner = [confidence[group[-1]] for group in groups[:-1]]
    return np.array([0.0, *inner, 1.0]), members


def best_temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    r"""Return the temperature T that minimises the mean cross-entropy of ``logits / T``.

    The loss is convex in :math:`\beta = 1/T` with the slope
    :math:`\frac1N\sum_i \big(\sum_k \hat p_{ik} z_{ik} - z_{iy_i}\big)`, whose zero is searched.
    Use images that the network was not trained on.

    Parameters
    ----------
    logits
        Shape (N, K).
    labels
        Integer, shape (N,).

    Raises
    ------
    InputError
        No finite temperature is best: every image is right (the loss falls as T goes to 0), or the
        logits do no better than equal probabilities (it falls as T grows).

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, 2017.
    """
    from scipy.optimize import brentq
    from scipy.special import softmax

    outputs = np.asarray(logits, np.float64)
    outputs = outputs - outputs[np.arange(len(labels)), labels][:, None]  # (N, K), 0 for the true class

    def slope(beta: float) -> float:
        return float((softmax(beta * outputs, axis=1) * outputs).sum(axis=1).mean())

    if slope(0.0) >= 0:
        raise InputError(
            "no temperature helps: the logits do no better than equal probabilities;"
            " check that the labels belong to them"
        )
    high = 1.0
    while slope(high) < 0 and high < HIGHEST:
        high *= 2
    if outputs.max() <= 0 or high >= HIGHEST:
        raise InputError(
            "every image is classified right, so the loss falls for ever as the temperature goes to 0;"
            " fit it on more validation images"
        )
    return float(1 / brentq(slope, 0.0, high, xtol=1e-14, rtol=1e-12))
