"""Activations and their derivatives, element by element; softmax row by row.

Each `*_backward(d_out, x)` takes the loss gradient of the output and the *input* of the
activation. A derivative computed from the already rectified output is a classic mistake.
"""

from __future__ import annotations

import numpy as np

from mnist_course.scratch.arrays import FloatArray, require_float


def relu(x: FloatArray) -> FloatArray:
    """Return max(x, 0), any shape.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    require_float("x", x)
    return np.maximum(x, 0)


def relu_backward(d_out: FloatArray, x: FloatArray) -> FloatArray:
    """Return the gradient of `relu`: `d_out` where x > 0, else 0.

    At exactly 0 the subgradient 0 is chosen, as PyTorch and TensorFlow do.
    """
    return d_out * (x > 0)


def sigmoid(x: FloatArray) -> FloatArray:
    r"""Return :math:`1 / (1 + e^{-x})`, any shape, without overflow.

    The exponential is only taken of -|x|, so it lies in (0, 1].
    """
    require_float("x", x)
    small = np.exp(-np.abs(x))
    result: FloatArray = np.where(x >= 0, 1, small) / (1 + small)
    return result


def sigmoid_backward(d_out: FloatArray, x: FloatArray) -> FloatArray:
    r"""Return the gradient of `sigmoid`: :math:`d_{out}\, s (1 - s)`, at most 1/4 of it."""
    s = sigmoid(x)
    result: FloatArray = d_out * s * (1 - s)
    return result


def tanh(x: FloatArray) -> FloatArray:
    """Return the hyperbolic tangent, any shape."""
    require_float("x", x)
    return np.tanh(x)


def tanh_backward(d_out: FloatArray, x: FloatArray) -> FloatArray:
    r"""Return the gradient of `tanh`: :math:`d_{out} (1 - \tanh^2 x)`."""
    t = np.tanh(x)
    result: FloatArray = d_out * (1 - t * t)
    return result


def softmax(logits: FloatArray, axis: int = -1) -> FloatArray:
    r"""Return :math:`e^{z_i} / \sum_j e^{z_j}` along `axis`; every slice sums to 1.

    The largest logit is subtracted first: the value is the same and nothing overflows
    (Goodfellow, Bengio and Courville 2016, section 4.1).

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    require_float("logits", logits)
    exponentials: FloatArray = np.exp(logits - logits.max(axis=axis, keepdims=True))
    exponentials /= exponentials.sum(axis=axis, keepdims=True)
    return exponentials


def log_softmax(logits: FloatArray, axis: int = -1) -> FloatArray:
    r"""Return :math:`z_i - \log \sum_j e^{z_j}` along `axis`, finite for any finite logits."""
    require_float("logits", logits)
    shifted: FloatArray = logits - logits.max(axis=axis, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return shifted


def softmax_backward(d_out: FloatArray, logits: FloatArray, axis: int = -1) -> FloatArray:
    r"""Return the gradient of `softmax`: :math:`p \odot (d_{out} - \langle d_{out}, p\rangle)`.

    This is the product with the Jacobian :math:`\mathrm{diag}(p) - p p^T`, never formed.
    """
    p = softmax(logits, axis)
    result: FloatArray = p * (d_out - (d_out * p).sum(axis=axis, keepdims=True))
    return result
