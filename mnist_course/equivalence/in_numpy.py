"""The NumPy wing's networks: the form through which all the others pass."""

from __future__ import annotations

import copy

from numpy.typing import DTypeLike

from mnist_course.equivalence.layouts import (
    SUPPORTED,
    Gradients,
    batch_norm,
    convolution,
    dense,
    network_of,
    unsupported,
)
from mnist_course.errors import InputError
from mnist_course.scratch.arrays import FLOATS, FloatArray, IntArray
from mnist_course.scratch.layers import Conv2D, Dense, Layer, Shape
from mnist_course.scratch.losses import cross_entropy_and_gradient
from mnist_course.scratch.network import Sequential
from mnist_course.scratch.regularization import BatchNorm, Dropout


def read(model: Sequential, input_shape: Shape | None) -> Sequential:
    """Return the network itself, or one that knows its input's shape."""
    for index, layer in enumerate(model.layers):
        if type(layer) not in SUPPORTED:  # a subclass may compute something else
            raise unsupported(
                f"layer {index}, {type(layer).__name__},", "is none of the course's layers"
            )
    shape = model.input_shape or input_shape
    if shape is None:
        raise InputError(
            "this network was built without input_shape, and weights behind Flatten depend on it;"
            " pass input_shape=(rows, columns, channels)"
        )
    return network_of(model.layers, shape, model.name)


def write(network: Sequential, dtype: DTypeLike | None = None) -> Sequential:
    """Return a copy that shares no array with the network; `dtype` as in `convert`."""
    assert network.input_shape is not None
    layers = [_copied(layer, dtype) for layer in network.layers]
    return network_of(layers, network.input_shape, network.name)


def dtype_of(model: Sequential) -> DTypeLike:
    """Return the floating-point type the network computes in."""
    return next((array.dtype for array in model.parameters().values()), FLOATS[0])


def logits(model: Sequential, inputs: FloatArray) -> FloatArray:
    """Return the outputs (N, K) in evaluation mode."""
    return model.forward(inputs)


def gradients(model: Sequential, inputs: FloatArray, labels: IntArray) -> Gradients:
    """Run one training batch through a copy of the network, without dropout."""
    trial = write(read(model, inputs.shape[1:]))
    for layer in trial.layers:
        if isinstance(layer, Dropout):
            layer.rate = 0.0
    outputs = trial.forward(inputs, training=True)
    loss, d_outputs = cross_entropy_and_gradient(outputs, labels)
    trial.backward_parameters(d_outputs)
    return Gradients(outputs, loss, trial.gradients())


def _copied(layer: Layer, dtype: DTypeLike | None) -> Layer:
    if isinstance(layer, Conv2D):
        return convolution(
            layer.weight.astype(dtype or layer.weight.dtype),
            layer.bias,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
        )
    if isinstance(layer, Dense):
        return dense(layer.weight.astype(dtype or layer.weight.dtype), layer.bias)
    if isinstance(layer, BatchNorm):
        return batch_norm(
            layer.gamma.astype(dtype or layer.gamma.dtype),
            layer.beta,
            layer.running_mean,
            layer.running_variance,
            momentum=layer.momentum,
            epsilon=layer.epsilon,
        )
    return copy.deepcopy(layer)
