"""The activations as layers, which remember their input; the formulas are in `activations`."""

# ruff: noqa: D102 (methods that override inherit the docstring of `Layer`)
from __future__ import annotations

from mnist_course.scratch import activations
from mnist_course.scratch.arrays import FloatArray
from mnist_course.scratch.layer import Layer


class ReLU(Layer):
    """`relu` as a layer, any shape."""

    def __init__(self) -> None:
        self._x: FloatArray | None = None

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        self._x = x if training else None
        return activations.relu(x)

    def backward(self, d_out: FloatArray) -> FloatArray:
        return activations.relu_backward(d_out, self._remembered(self._x))


class Sigmoid(Layer):
    """`sigmoid` as a layer, any shape."""

    def __init__(self) -> None:
        self._x: FloatArray | None = None

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        self._x = x if training else None
        return activations.sigmoid(x)

    def backward(self, d_out: FloatArray) -> FloatArray:
        return activations.sigmoid_backward(d_out, self._remembered(self._x))


class Tanh(Layer):
    """`tanh` as a layer, any shape."""

    def __init__(self) -> None:
        self._x: FloatArray | None = None

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        self._x = x if training else None
        return activations.tanh(x)

    def backward(self, d_out: FloatArray) -> FloatArray:
        return activations.tanh_backward(d_out, self._remembered(self._x))
