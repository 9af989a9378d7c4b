"""The layout in which networks are compared: the NumPy wing's, and what is rearranged to get there.

Images are (N, H, W, C), kernels (kh, kw, C, O), dense weights (inputs, outputs), and flattening lets
channels vary fastest. Every other layout is a permutation of this one, so a weight and its gradient
are carried over by the same lines.

The chapter that shows it: chapters/08_one_network_three_ways.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError
from mnist_course.scratch.arrays import FLOATS, FloatArray
from mnist_course.scratch.geometry import Geometry, Padding, resolve
from mnist_course.scratch.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    MaxPool2D,
    ReLU,
    Shape,
    Sigmoid,
    Tanh,
)
from mnist_course.scratch.network import Sequential
from mnist_course.scratch.regularization import BatchNorm, Dropout

SUPPORTED = (
    Conv2D, MaxPool2D, AvgPool2D, Flatten, Dense, ReLU, Sigmoid, Tanh, Dropout, BatchNorm,
)  # fmt: skip


class Gradients(NamedTuple):
    """What one batch says about a network, named and laid out alike for every framework."""

    logits: FloatArray  # (N, K)
    loss: float  # mean cross-entropy in nats
    parameters: dict[str, FloatArray]  # "0.kernels", "0.bias", ...: the gradient of each parameter


def unsupported(name: str, reason: str) -> InputError:
    """Return the error for a layer that one of the three frameworks lacks."""
    known = ", ".join(kind.__name__ for kind in SUPPORTED)
    return InputError(f"{name} {reason}; layers that can be carried over are {known}")


def flatten_order(shape: Sequence[int]) -> NDArray[np.intp]:
    """Return where flattening channels first puts each value that flattening channels last yields.

    Parameters
    ----------
    shape
        (H, W, C) of the images that are flattened.

    Returns
    -------
    array (H W C,)
        ``first.reshape(-1)[order] == last.reshape(-1)`` for `first` (C, H, W) and `last` (H, W, C).

    >>> flatten_order((1, 2, 3))  # two pixels with three channels
    array([0, 2, 4, 1, 3, 5])
    """
    rows, columns, channels = shape
    return np.arange(math.prod(shape)).reshape(channels, rows, columns).transpose(1, 2, 0).ravel()


def reorder(network: Sequential, *, channels_first: bool) -> None:
    """Rearrange, in place, what follows `Flatten`, from the other flattening order to the given one.

    A dense layer that reads flattened images has one row of weights for each of their values, so its
    rows move; so do the entries of a batch normalisation between the two.

    Raises
    ------
    InputError
        The network returns flattened images, whose order would then differ from the original's.
    """
    order: NDArray[np.intp] | None = None
    for layer, shape in zip(network.layers, shapes(network), strict=True):
        if isinstance(layer, Flatten) and len(shape) == 3:
            order = flatten_order(shape)
            if channels_first:
                order = np.argsort(order)  # the inverse permutation
        elif order is not None and isinstance(layer, Dense | BatchNorm):
            arrays = [layer.weight] if isinstance(layer, Dense) else _per_channel(layer)
            for array in arrays:
                array[...] = array[order]
            if isinstance(layer, Dense):
                order = None
    if order is not None and (order != np.arange(len(order))).any():
        raise InputError(
            "the network ends with flattened images, which the frameworks put in different orders;"
            " end it with a dense layer"
        )


def shapes(network: Sequential) -> list[Shape]:
    """Return the shape of one example at the input of every layer."""
    assert network.input_shape is not None
    found = [network.input_shape]
    for layer in network.layers[:-1]:
        found.append(layer.output_shape(found[-1]))
    return found


def geometry(layer: Conv2D, shape: Shape) -> Geometry:
    """Return the convolution's stride, dilation and padding in numbers, for images (H, W, C)."""
    rows, columns = layer.weight.shape[:2]
    return resolve((shape[0], shape[1]), (rows, columns), layer.stride, layer.padding, layer.dilation)


def description(network: Sequential) -> list[tuple[Any, ...]]:
    """Return what the network computes apart from the values of its weights, to compare it."""
    found: list[tuple[Any, ...]] = []
    for layer, shape in zip(network.layers, shapes(network), strict=True):
        details: tuple[Any, ...] = ()
        if isinstance(layer, Conv2D):
            details = (layer.weight.shape, geometry(layer, shape))
        elif isinstance(layer, Dense):
            details = layer.weight.shape
        elif isinstance(layer, MaxPool2D | AvgPool2D):
            details = (layer.size, layer.stride)
        elif isinstance(layer, Dropout):
            details = (layer.rate,)
        elif isinstance(layer, BatchNorm):
            details = (len(layer.gamma), layer.momentum, layer.epsilon)
        found.append((type(layer), *details))
    return found


def convolution(
    kernels: FloatArray,
    bias: FloatArray,
    *,
    stride: int | Sequence[int],
    padding: Padding,
    dilation: int | Sequence[int],
) -> Conv2D:
    """Return a layer with copies of the given kernels (kh, kw, C, O) and bias (O,)."""
    *size, inputs, outputs = kernels.shape
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    layer = Conv2D(inputs, outputs, size, **options, rng=0, dtype=kernels.dtype)
    layer.weight[...], layer.bias[...] = kernels, bias
    return layer


def dense(weights: FloatArray, bias: FloatArray) -> Dense:
    """Return a layer with copies of the given weights (inputs, outputs) and bias (outputs,)."""
    layer = Dense(*weights.shape, rng=0, dtype=weights.dtype)
    layer.weight[...], layer.bias[...] = weights, bias
    return layer


def batch_norm(
    gamma: FloatArray,
    beta: FloatArray,
    mean: FloatArray,
    variance: FloatArray,
    *,
    momentum: float,
    epsilon: float,
) -> BatchNorm:
    """Return a layer with copies of the given arrays (C,); `momentum` weighs the new batch."""
    layer = BatchNorm(len(gamma), momentum=momentum, epsilon=epsilon, dtype=gamma.dtype)
    for array, value in zip(_per_channel(layer), (gamma, beta, mean, variance), strict=True):
        array[...] = value
    return layer


def network_of(layers: Sequence[Layer], input_shape: Shape, name: str) -> Sequential:
    """Return the layers as a network.

    Raises
    ------
    InputError
        They don't fit each other, or don't fit images of that shape.
    """
    try:
        return Sequential(layers, tuple(input_shape), name=name)
    except ValueError as error:
        raise InputError(
            f"{name} does not take examples of shape {tuple(input_shape)}, channels last: {error};"
            " pass the right input_shape"
        ) from None


def require_known_dtype(name: str, dtype: object) -> None:
    """Raise InputError unless the name of a framework's dtype is float32 or float64."""
    text = str(dtype).removeprefix("torch.")
    if text not in map(str, FLOATS):
        raise InputError(f"{name} computes in {text}, expected float32 or float64; cast the model first")


def _per_channel(layer: BatchNorm) -> list[FloatArray]:
    return [layer.gamma, layer.beta, layer.running_mean, layer.running_variance]
