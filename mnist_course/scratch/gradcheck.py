r"""Gradient checking: derivatives from differences, compared with those of `backward`.

.. math:: \frac{\partial f}{\partial x_i} \approx \frac{f(x + h e_i) - f(x - h e_i)}{2h}

The error of the central difference falls with h², that of rounding grows with 1/h; in float64
they balance near h = 1e-5 to 1e-6. In float32 the check is meaningless, so it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mnist_course.scratch.arrays import FloatArray, IntArray
from mnist_course.scratch.layers import Layer
from mnist_course.scratch.losses import cross_entropy, cross_entropy_gradient
from mnist_course.scratch.regularization import Dropout


def numerical_gradient(
    function: Callable[[], float],
    array: FloatArray,
    *,
    step: float = 1e-6,
    indices: IntArray | None = None,
) -> FloatArray:
    """Return d function / d array by central differences.

    Parameters
    ----------
    function : callable without arguments
        Computes the loss from `array`, which is changed in place meanwhile and restored.
    array : float64 array, any shape
    step : float
        The h of the formula.
    indices : integer array (K,), optional
        Flat positions to differentiate at; by default all.

    Returns
    -------
    array (K,)
        One derivative for each index, in float64.

    >>> x = np.array([3.0])
    >>> numerical_gradient(lambda: float(x[0] ** 2), x).round(4)
    array([6.])
    """
    if array.dtype != np.float64:
        raise ValueError(
            f"finite differences need float64, this array is {array.dtype}; "
            "build the layer with dtype=np.float64"
        )
    positions = np.arange(array.size) if indices is None else indices
    derivatives = np.empty(len(positions))
    for k, position in enumerate(positions):
        index = np.unravel_index(int(position), array.shape)
        before = array[index]
        array[index] = before + step
        above = function()
        array[index] = before - step
        below = function()
        array[index] = before
        derivatives[k] = (above - below) / (2 * step)
    return derivatives


def check_gradients(
    layer: Layer,
    x: FloatArray,
    labels: IntArray | None = None,
    *,
    training: bool = True,
    step: float = 1e-6,
    samples: int = 100,
    seed: int = 0,
) -> dict[str, float]:
    r"""Compare a layer's or network's `backward` with finite differences.

    Parameters
    ----------
    layer : Layer or Sequential
        Built with dtype float64.
    x : float64 array (N, ...)
        A batch.
    labels : integer array (N,), optional
        With labels the loss is the cross-entropy of the output; without, the output's inner
        product with a random array.
    training : bool
        Mode of the forward pass.
    step : float
        h of the central difference.
    samples : int
        At most so many entries of each array are checked, drawn with `seed`.

    Returns
    -------
    dict of float
        For "input" and each parameter the relative error
        :math:`\max|a - n| / \max(|a|_\infty, |n|_\infty, 10^{-8})`. Below 1e-6 is right; above
        1e-3 is a bug, or a kink (ReLU, max) within `step` of a value.

    Raises
    ------
    ValueError
        When x or a parameter is not float64.
    """
    rng = np.random.default_rng([seed, 1])  # not the stream that may have drawn x
    masks = [(dropout, dropout.generator.bit_generator.state) for dropout in _random_layers(layer)]
    buffers = {name: array.copy() for name, array in layer.buffers().items()}
    x = x.copy()

    def output() -> FloatArray:
        for dropout, state in masks:  # every evaluation must see the same function
            dropout.generator.bit_generator.state = state
        for name, array in layer.buffers().items():
            array[...] = buffers[name]
        return layer.forward(x, training)

    out = output()
    direction = rng.standard_normal(out.shape)

    def loss() -> float:
        if labels is None:
            return float((output() * direction).sum())
        return cross_entropy(output(), labels)

    d_out = direction if labels is None else cross_entropy_gradient(out, labels)
    analytic = {"input": layer.backward(d_out).copy()}
    analytic |= {name: gradient.copy() for name, gradient in layer.gradients().items()}
    errors = {}
    for name, array in ({"input": x} | layer.parameters()).items():
        count = min(samples, array.size)
        indices = rng.choice(array.size, count, replace=False)
        numeric = numerical_gradient(loss, array, step=step, indices=indices)
        chosen = analytic[name].reshape(-1)[indices]
        scale = max(np.abs(chosen).max(), np.abs(numeric).max(), 1e-8)
        errors[name] = float(np.abs(chosen - numeric).max() / scale)
    output()  # leaves generators and running statistics as one forward pass does
    return errors


def _random_layers(layer: Layer) -> Iterator[Dropout]:
    for inner in getattr(layer, "layers", [layer]):
        if isinstance(inner, Dropout):
            yield inner
