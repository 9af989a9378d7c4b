"""What labels and outputs of a classifier must look like, and what to do when they don't."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnist_course.errors import InputError

TOLERANCE = 1e-3
"""How far the probabilities of an image may be from adding up to 1; float16 needs that much."""


def integer_labels(given: ArrayLike, classes: int) -> NDArray[Any]:
    """Return the labels as an array of shape (N,), if they are integers from 0 to ``classes - 1``.

    Raises
    ------
    InputError
        One-hot labels, another shape or type, or a label without a class.

    Examples
    --------
    >>> integer_labels([0, 2, 1], classes=3)
    array([0, 2, 1])
    """
    labels = np.asarray(given)
    if labels.ndim == 2 and labels.shape[1] == classes:
        raise InputError(
            f"labels have shape {labels.shape}, so they are one-hot;"
            " pass integers: labels.argmax(axis=1)"
        )
    if labels.ndim != 1:
        raise InputError(f"labels have shape {labels.shape}; expected (N,), one integer per image")
    if len(labels) and not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels are {labels.dtype}; expected integers from 0 to {classes - 1}")
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise InputError(f"label {wrong} has no class; expected 0 to {classes - 1}")
    return labels


def require_logits(logits: NDArray[Any], shape: tuple[int, int]) -> None:
    """Refuse what are no logits of that shape (N, K).

    Raises
    ------
    InputError
        Another shape, no row, an infinity or NaN, or probabilities (in two rows or more, because one
        row may add up to 1 by chance). Rows of zeros and a one pass: they may as well be votes.
    """
    if logits.shape != shape or not len(logits):
        raise InputError(
            f"logits have shape {logits.shape}; expected {shape},"
            " a row per label and a column per class, and at least one row"
        )
    if not np.isfinite(logits).all():
        raise InputError("the network's outputs are not finite; its weights are unusable")
    if len(logits) == 1 or logits.min() < 0 or logits.max() > 1:
        return
    fractional = ((logits > 0) & (logits < 1)).any()
    if fractional and (np.abs(logits.sum(axis=1, dtype=np.float64) - 1) < TOLERANCE).all():
        raise InputError(
            "every row is a distribution (no negative number, sum 1), so these are probabilities and"
            " not logits; pass them to Evaluation.from_probabilities"
        )


def require_probabilities(probabilities: NDArray[np.float64]) -> None:
    """Refuse rows, shape (N, K), that are no distributions.

    Raises
    ------
    InputError
        Another number of axes, a negative number or NaN, or a row that does not add up to 1.
    """
    if probabilities.ndim != 2 or not probabilities.size:
        raise InputError(f"probabilities have shape {probabilities.shape}; expected (N, K) with N ≥ 1")
    if not probabilities.min() >= 0:  # also refuses NaN
        raise InputError(
            f"a probability is {probabilities.min():.4g}; expected 0 to 1"
            " (logits go to Evaluation itself)"
        )
    sums = probabilities.sum(axis=1)
    worst = sums[np.abs(sums - 1).argmax()]
    if abs(worst - 1) > TOLERANCE:
        raise InputError(
            f"the probabilities of an image add up to {worst:.4g}; expected 1"
            " (are they independent sigmoids, or not yet normalised?)"
        )
