"""Losses: one number for a batch, and its gradient with respect to the predictions.

Every loss is a mean over the batch, so its gradient carries the factor 1/N and the learning
rate does not depend on the batch size. NaN and infinities are stopped here.
"""

from __future__ import annotations

import numpy as np

from mnist_course.errors import InputError
from mnist_course.scratch.activations import log_softmax, sigmoid
from mnist_course.scratch.arrays import (
    FloatArray,
    IntArray,
    require_finite,
    require_float,
    require_labels,
    require_same_dtype,
    require_shape,
)


def cross_entropy(logits: FloatArray, labels: IntArray, *, label_smoothing: float = 0.0) -> float:
    r"""Return the mean of :math:`-\sum_k q_k \log \mathrm{softmax}(z)_k` over the batch.

    Parameters
    ----------
    logits : array (N, K)
        Scores before softmax, float32 or float64.
    labels : integer array (N,)
        The true classes, 0 .. K - 1.
    label_smoothing : float in [0, 1)
        :math:`\epsilon`; the target is :math:`q = (1 - \epsilon)\,\text{one-hot} + \epsilon/K`
        (Szegedy et al. 2016, section 7).

    Returns
    -------
    float
        The loss in nats; log(K) for a network that knows nothing.

    Raises
    ------
    InputError
        For wrong shapes, labels out of range, an empty batch, NaN or infinite logits.

    >>> cross_entropy(np.zeros((1, 10)), np.array([3]))  # doctest: +ELLIPSIS
    2.30258...
    """
    return cross_entropy_and_gradient(logits, labels, label_smoothing=label_smoothing)[0]


def cross_entropy_gradient(
    logits: FloatArray, labels: IntArray, *, label_smoothing: float = 0.0
) -> FloatArray:
    r"""Return the gradient of `cross_entropy`, (N, K): :math:`(\mathrm{softmax}(z) - q) / N`.

    Parameters and errors are those of `cross_entropy`.
    """
    return cross_entropy_and_gradient(logits, labels, label_smoothing=label_smoothing)[1]


def cross_entropy_and_gradient(
    logits: FloatArray, labels: IntArray, *, label_smoothing: float = 0.0
) -> tuple[float, FloatArray]:
    """Return both at once, as training needs them: the logarithms are computed once.

    Parameters and errors are those of `cross_entropy`.
    """
    _check_classification(logits, labels, label_smoothing)
    rows = np.arange(len(labels))
    log_p = log_softmax(logits)  # (N, K)
    loss = -log_p[rows, labels].mean()
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * log_p.mean()
    d_logits: FloatArray = np.exp(log_p)
    if label_smoothing:
        d_logits -= label_smoothing / logits.shape[1]
    d_logits[rows, labels] -= 1 - label_smoothing
    d_logits /= len(labels)
    return float(loss), d_logits


def binary_cross_entropy(
    predictions: FloatArray, targets: FloatArray, *, from_logits: bool = False
) -> float:
    r"""Return the mean of :math:`-[y \log p + (1 - y) \log(1 - p)]` over all elements.

    Parameters
    ----------
    predictions : array, any shape
        Probabilities p in [0, 1], or with `from_logits` scores z with p = sigmoid(z).
    targets : array, the same shape
        Labels or probabilities y in [0, 1].
    from_logits : bool
        Use :math:`\max(z, 0) - z y + \log(1 + e^{-|z|})`, which never overflows.

    Raises
    ------
    InputError
        For shapes that differ, values outside [0, 1], NaN or infinities.

    Notes
    -----
    The minus stands before *both* terms. With `+ (1 - y) log(1 - p)` confident mistakes would
    be rewarded. The logarithm of a probability is cut at -100, as PyTorch does.
    """
    _check_binary(predictions, targets, from_logits)
    y = targets
    if from_logits:
        z = predictions
        return float(np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))))
    p = predictions
    with np.errstate(divide="ignore"):
        log_p, log_not_p = np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)
    return float(-np.mean(y * log_p + (1 - y) * log_not_p))


def binary_cross_entropy_gradient(
    predictions: FloatArray, targets: FloatArray, *, from_logits: bool = False
) -> FloatArray:
    r"""Return the gradient of `binary_cross_entropy`, of the predictions' shape.

    For logits it is :math:`(\sigma(z) - y) / n`; for probabilities
    :math:`(p - y) / (n\, p (1 - p))`, with the denominator p(1 - p) kept above 1e-12.
    """
    _check_binary(predictions, targets, from_logits)
    if from_logits:
        return (sigmoid(predictions) - targets) / predictions.size
    p = predictions
    return (p - targets) / np.maximum(p * (1 - p), 1e-12) / p.size


def mean_squared_error(predictions: FloatArray, targets: FloatArray) -> float:
    """Return the mean of (predictions - targets)² over all elements, any shape.

    Raises InputError for shapes that differ, NaN or infinities.
    """
    _check_pair(predictions, targets)
    return float(np.mean((predictions - targets) ** 2))


def mean_squared_error_gradient(predictions: FloatArray, targets: FloatArray) -> FloatArray:
    """Return the gradient of `mean_squared_error`: 2 (predictions - targets) / n."""
    _check_pair(predictions, targets)
    return (predictions - targets) * (2 / predictions.size)


def _check_classification(logits: FloatArray, labels: IntArray, label_smoothing: float) -> None:
    require_float("logits", logits, ndim=2)
    if not len(logits):
        raise InputError("logits have no rows, expected a batch of at least one")
    require_finite("logits", logits)
    require_labels(labels, len(logits), logits.shape[1])
    if not 0 <= label_smoothing < 1:
        raise InputError(f"label_smoothing is {label_smoothing}, expected 0 <= value < 1")


def _check_pair(predictions: FloatArray, targets: FloatArray) -> None:
    require_float("predictions", predictions)
    classes = np.shape(predictions)[-1] if np.ndim(predictions) == 2 else 1
    if classes > 1 and np.ndim(targets) == 1:
        raise InputError(
            f"targets have shape {np.shape(targets)}, expected a row of {classes} for each prediction; "
            f"turn integers into one-hot rows, np.eye({classes}, dtype=predictions.dtype)[labels], or "
            "use cross_entropy, which takes integers"
        )
    require_float("targets", targets)
    require_same_dtype(predictions=predictions, targets=targets)
    require_shape("targets", targets, predictions.shape)
    if not predictions.size:
        raise InputError("predictions are empty, expected at least one value")
    require_finite("predictions", predictions)
    require_finite("targets", targets)


def _check_binary(predictions: FloatArray, targets: FloatArray, from_logits: bool) -> None:
    _check_pair(predictions, targets)
    if targets.min() < 0 or targets.max() > 1:
        raise InputError(f"targets run from {targets.min()} to {targets.max()}, expected 0 to 1")
    if not from_logits and (predictions.min() < 0 or predictions.max() > 1):
        raise InputError(
            f"predictions run from {predictions.min()} to {predictions.max()}, expected "
            "probabilities in [0, 1]; for scores pass from_logits=True"
        )
