"""Keras's networks, read and written: the NumPy wing's layouts, other conventions.

Keras's momentum of batch normalisation is the weight of the *old* statistics, its "same" padding
depends on the image's size, and an activation may sit inside a layer.
"""

from __future__ import annotations

import mnist_course.keras  # noqa: F401  first of all: it chooses the backend and what it must load

# isort: split
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as kinds

from mnist_course.equivalence import in_numpy, layouts
from mnist_course.equivalence.layouts import Gradients, unsupported
from mnist_course.errors import InputError
from mnist_course.scratch.arrays import FloatArray, IntArray
from mnist_course.scratch.geometry import Padding, resolve, same_padding
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

ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}

ArrayOf = Callable[[Any], FloatArray]


def read(model: keras.Model, input_shape: Shape | None, array_of: ArrayOf | None = None) -> Sequential:
    """Return the model as a NumPy network; `array_of` puts other arrays in its variables' place."""
    array_of = array_of or _values
    shape = tuple(model.input_shape[1:])
    layers: list[Layer] = []
    zeros: Padding | None = None
    for keras_layer in _chain(model):
        name = f"layer {keras_layer.name!r}, {type(keras_layer).__name__},"
        if type(keras_layer) is kinds.ZeroPadding2D:
            zeros = tuple(keras_layer.padding)
            continue
        layer = _layer(name, keras_layer, array_of, len(layers))
        if zeros is not None:
            if not isinstance(layer, Conv2D) or layer.padding != "valid":
                raise unsupported(name, "stands behind ZeroPadding2D and is no convolution with 'valid'")
            layer.padding, zeros = zeros, None
        if layer is not None:
            layers.append(layer)
        activation = getattr(keras_layer, "activation", keras.activations.linear)
        if activation is not keras.activations.linear:
            layers.append(_activation(name, activation))
    if zeros is not None or not layers:
        raise unsupported(f"the model {model.name!r}", "does not end with a layer")
    return layouts.network_of(layers, shape, model.name)


def write(network: Sequential) -> keras.Sequential:
    """Return a Keras model with activations inside the layers, as the course's own have them."""
    dtype = str(np.dtype(in_numpy.dtype_of(network)))
    stack: list[Any] = [keras.Input(network.input_shape, dtype=dtype)]
    weighted: list[tuple[Any, Layer]] = []
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    for layer, shape in zip(network.layers, layouts.shapes(network), strict=True):
        if type(layer) in names:
            before = stack[-1]
            if isinstance(before, kinds.Conv2D | kinds.Dense) and _is_linear(before):
                before.activation = keras.activations.get(names[type(layer)])
            else:
                stack.append(kinds.Activation(names[type(layer)], dtype=dtype))
            continue
        stack += _keras_layers(layer, shape, dtype)
        if layer.parameters():
            weighted.append((stack[-1], layer))
    model = keras.Sequential(stack, name=network.name)
    for keras_layer, layer in weighted:
        arrays = layer.parameters() | layer.buffers()
        keras_layer.set_weights(list(arrays.values()))  # both in the order weight, bias, mean, variance
    return model


def dtype_of(model: keras.Model) -> np.dtype[Any]:
    """Return the floating-point type the network computes in."""
    dtypes = {layer.compute_dtype for layer in _chain(model)} or {"float32"}
    if len(dtypes) > 1:
        raise InputError(f"the layers of {model.name!r} compute in {sorted(dtypes)}; expected one dtype")
    layouts.require_known_dtype(f"the model {model.name!r}", next(iter(dtypes)))
    dtype: np.dtype[Any] = np.dtype(dtypes.pop())
    return dtype


def logits(model: keras.Model, inputs: FloatArray) -> FloatArray:
    """Return the outputs (N, K) in evaluation mode."""
    return _values(model(inputs, training=False))


def gradients(model: keras.Model, inputs: FloatArray, labels: IntArray) -> Gradients:
    """Run one training batch, without dropout; weights and statistics stay as they are."""
    frozen = [layer.name for layer in _chain(model) if layer.weights and not layer.trainable]
    if frozen or not model.trainable:
        raise InputError(f"{frozen or model.name} is frozen and has no gradients; set trainable = True")
    dropouts = [layer for layer in _chain(model) if type(layer) is kinds.Dropout]
    rates = [layer.rate for layer in dropouts]
    try:
        for layer in dropouts:
            layer.rate = 0.0
        outputs, loss, found = _BACKENDS[_backend()](model, inputs, labels.astype(np.int32))
    finally:
        for layer, rate in zip(dropouts, rates, strict=True):
            layer.rate = rate
    arrays = {
        variable.path: gradient
        for variable, gradient in zip(model.trainable_variables, found, strict=True)
    }
    as_network = read(model, None, lambda variable: arrays[variable.path])
    return Gradients(outputs, float(_values(loss)), as_network.parameters())


def _loss(model: keras.Model, values: list[Any], inputs: Any, labels: IntArray) -> tuple[Any, Any]:
    """Return logits and mean cross-entropy as functions of the trainable variables' values."""
    statistics = [variable.value for variable in model.non_trainable_variables]
    outputs, _ = model.stateless_call(values, statistics, inputs, training=True)
    each = keras.ops.sparse_categorical_crossentropy(labels, outputs, from_logits=True)
    return outputs, keras.ops.mean(each)


def _with_tensorflow(model: keras.Model, inputs: FloatArray, labels: IntArray) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    values = [tf.convert_to_tensor(variable.value) for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs, loss = _loss(model, values, inputs, labels)
    found = tape.gradient(loss, values)
    return outputs.numpy(), loss, [gradient.numpy() for gradient in found]


def _with_torch(model: keras.Model, inputs: FloatArray, labels: IntArray) -> tuple[Any, Any, Any]:
    import torch

    values = [variable.value.detach().clone().requires_grad_() for variable in model.trainable_variables]
    outputs, loss = _loss(model, values, inputs, labels)
    found = torch.autograd.grad(loss, values)
    return _values(outputs), loss, [_values(gradient) for gradient in found]


_BACKENDS = {"tensorflow": _with_tensorflow, "torch": _with_torch}


def _backend() -> str:
    backend = str(keras.backend.backend())
    if backend not in _BACKENDS:
        raise InputError(
            f"Keras runs on {backend}, expected {' or '.join(_BACKENDS)}; set KERAS_BACKEND before the"
            " first import of keras"
        )
    return backend


def _values(tensor: Any) -> FloatArray:
    array: FloatArray = keras.ops.convert_to_numpy(tensor)
    return array


def _is_linear(layer: Any) -> bool:
    return layer.activation is keras.activations.linear


def _chain(model: keras.Model) -> list[Any]:
    """Return the layers in the order in which they are applied, without inputs."""
    if not model.built or getattr(model, "inputs", None) is None:
        raise InputError(
            f"the model {model.name!r} does not know its input yet;"
            " begin it with keras.Input((28, 28, 1))"
        )
    found: list[Any] = []
    for layer in model.layers:
        if isinstance(layer, kinds.InputLayer):
            continue
        if isinstance(layer, keras.Sequential):
            found += _chain(layer)
        else:
            found.append(layer)
    if not isinstance(model, keras.Sequential):
        tensors = [model.inputs[0], *(layer.output for layer in found)]
        if len(model.inputs) != 1 or any(
            layer.input is not tensor for layer, tensor in zip(found, tensors, strict=False)
        ):
            raise unsupported(f"the model {model.name!r}", "is not one layer after the other")
    return found


def _layer(name: str, layer: Any, array_of: ArrayOf, index: int) -> Layer | None:
    """Return one Keras layer without its activation; None for a layer that is only an activation."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise unsupported(name, "has channels first; build it with data_format='channels_last'")
    if getattr(layer, "use_bias", True) is False:
        raise unsupported(name, "has no bias, which the NumPy wing's layers always have")
    kind = type(layer)
    if kind is kinds.Conv2D and layer.groups == 1:
        return layouts.convolution(
            array_of(layer.kernel),
            array_of(layer.bias),
            stride=layer.strides,
            padding=layer.padding,
            dilation=layer.dilation_rate,
        )
    if kind is kinds.Dense:
        return layouts.dense(array_of(layer.kernel), array_of(layer.bias))
    if kind is kinds.BatchNormalization:
        return _batch_norm(name, layer, array_of)
    if kind in (kinds.MaxPooling2D, kinds.AveragePooling2D):
        zeros = resolve(layer.input.shape[1:3], layer.pool_size, layer.strides, layer.padding)
        if zeros.is_padded:
            raise unsupported(name, "pads its input")
        return (MaxPool2D if kind is kinds.MaxPooling2D else AvgPool2D)(layer.pool_size, layer.strides)
    if kind is kinds.Flatten:
        return Flatten()
    if kind is kinds.Dropout and layer.noise_shape is None:
        return Dropout(layer.rate, rng=index)
    if kind is kinds.Activation:
        return None
    plain = (None, 0.0, 0.0)
    if kind is kinds.ReLU and (layer.max_value, layer.negative_slope, layer.threshold) == plain:
        return ReLU()
    raise unsupported(name, "has no counterpart with these options")


def _batch_norm(name: str, layer: Any, array_of: ArrayOf) -> BatchNorm:
    rank = len(layer.input.shape)
    if not (layer.center and layer.scale) or layer.axis not in (-1, rank - 1) or layer.renorm:
        raise unsupported(name, "has no center or scale, another axis than the last one, or renorm")
    return layouts.batch_norm(
        array_of(layer.gamma),
        array_of(layer.beta),
        _values(layer.moving_mean),
        _values(layer.moving_variance),
        momentum=round(1 - layer.momentum, 12),  # 1 - (1 - 0.1) is not 0.1
        epsilon=layer.epsilon,
    )


def _activation(name: str, function: Any) -> Layer:
    found = getattr(function, "__name__", "?")
    if function is keras.activations.softmax:
        raise unsupported(
            name, "ends in softmax, where the course's networks return logits; leave it out"
        )
    if found not in ACTIVATIONS or function is not keras.activations.get(found):
        raise unsupported(name, f"has the activation {found}")
    return ACTIVATIONS[found]()


def _keras_layers(layer: Layer, shape: Shape, dtype: str) -> list[Any]:
    """Return the Keras layers, weights not yet set, that compute what one layer does."""
    match layer:
        case Conv2D():
            return _convolution(layer, shape, dtype)
        case Dense():
            return [kinds.Dense(layer.weight.shape[1], dtype=dtype)]
        case BatchNorm():
            momentum = 1 - layer.momentum
            return [kinds.BatchNormalization(momentum=momentum, epsilon=layer.epsilon, dtype=dtype)]
        case MaxPool2D():
            return [kinds.MaxPooling2D(layer.size, layer.stride, dtype=dtype)]
        case AvgPool2D():
            return [kinds.AveragePooling2D(layer.size, layer.stride, dtype=dtype)]
        case Dropout():
            return [kinds.Dropout(layer.rate, dtype=dtype)]
    return [kinds.Flatten(dtype=dtype)]


def _convolution(layer: Conv2D, shape: Shape, dtype: str) -> list[Any]:
    *size, _, outputs = layer.weight.shape
    stride, dilation, zeros, _ = layouts.geometry(layer, shape)
    if max(stride) > 1 and max(dilation) > 1:
        raise InputError(
            f"a convolution has stride {stride} and dilation {dilation}, which Keras cannot combine"
        )
    same = tuple(same_padding(shape[axis], size[axis], stride[axis], dilation[axis]) for axis in (0, 1))
    options = {"strides": stride, "dilation_rate": dilation, "dtype": dtype}
    if not any(map(any, zeros)):
        return [kinds.Conv2D(outputs, size, padding="valid", **options)]
    if zeros == same:
        return [kinds.Conv2D(outputs, size, padding="same", **options)]
    return [kinds.ZeroPadding2D(zeros, dtype=dtype), kinds.Conv2D(outputs, size, **options)]
