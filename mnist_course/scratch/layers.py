"""Layers: a class with `forward`, `backward`, its parameters, and nothing else.

Here are those that know their weights or a window; `Layer` says what all of them offer, and the
activations have a room of their own. Images are (N, H, W, C).

The chapter that builds them: chapters/05_cnn_from_scratch.
"""

# ruff: noqa: D102 (methods that override inherit the docstring of `Layer`)
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from mnist_course.scratch import conv, pooling
from mnist_course.scratch.activation_layers import ReLU, Sigmoid, Tanh
from mnist_course.scratch.arrays import (
    FloatArray,
    float_dtype,
    require_float,
    require_same_dtype,
    require_shape,
)
from mnist_course.scratch.geometry import Geometry, Padding, pair, resolve
from mnist_course.scratch.layer import Layer, Shape

__all__ = [
    "AvgPool2D", "Conv2D", "Dense", "Flatten", "Layer", "MaxPool2D", "ReLU", "Shape", "Sigmoid", "Tanh",
]  # fmt: skip


class _Weighted(Layer):
    """A layer with a weight array and a bias, and their gradients."""

    weight_name: str

    def __init__(self, shape: Shape, rng: np.random.Generator | int | None, dtype: DTypeLike) -> None:
        if min(shape) < 1:
            raise ValueError(f"{self.weight_name} would have shape {shape}, expected sizes >= 1")
        self.weight = np.empty(shape, float_dtype(dtype))
        self.bias = np.zeros(shape[-1], self.weight.dtype)
        self.d_weight = np.zeros_like(self.weight)
        self.d_bias = np.zeros_like(self.bias)
        self._x: FloatArray | None = None
        # Glorot and Bengio 2010, equation 16: the same variance forward and backward
        *kernel, inputs, outputs = shape
        bound = math.sqrt(6 / (math.prod(kernel) * (inputs + outputs)))
        self.weight[...] = np.random.default_rng(rng).uniform(-bound, bound, shape)

    def parameters(self) -> dict[str, FloatArray]:
        return {self.weight_name: self.weight, "bias": self.bias}

    def gradients(self) -> dict[str, FloatArray]:
        return {self.weight_name: self.d_weight, "bias": self.d_bias}


class Dense(_Weighted):
    """A fully connected layer: x W + b, from (N, inputs) to (N, outputs).

    Parameters
    ----------
    inputs, outputs : int
        The parameters are `weights` (inputs, outputs), drawn uniformly as Glorot and Bengio
        (2010) did, and `bias` (outputs,), zero: as in the other wings.
    rng : Generator, int or None
        Source of the initial weights; an integer is a seed, None draws from the system.
    dtype : float32 or float64
        Of the parameters, and so of the inputs it takes.
    """

    weight_name = "weights"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__((inputs, outputs), rng, dtype)

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        require_float("x", x, ndim=2)
        require_same_dtype(x=x, weights=self.weight)
        self.output_shape(x.shape[1:])
        self._x = x if training else None
        out: FloatArray = np.matmul(x, self.weight)
        out += self.bias
        return out

    def backward(self, d_out: FloatArray) -> FloatArray:
        self.backward_parameters(d_out)
        d_x: FloatArray = np.matmul(self.weight, d_out.T).T  # the batch innermost in memory
        return d_x

    def backward_parameters(self, d_out: FloatArray) -> None:
        x = self._remembered(self._x)
        require_shape("d_out", d_out, (len(x), len(self.bias)))
        np.matmul(x.T, d_out, out=self.d_weight)
        d_out.sum(axis=0, out=self.d_bias)

    def output_shape(self, input_shape: Shape) -> Shape:
        if input_shape != self.weight.shape[:1]:
            raise ValueError(
                f"Dense takes rows of {self.weight.shape[0]} values, one example here has shape "
                f"{input_shape}; put Flatten before it or change its inputs"
            )
        return (len(self.bias),)

    def multiply_adds(self, input_shape: Shape) -> int:
        return self.weight.size


class Conv2D(_Weighted):
    """A convolutional layer: `conv2d` with its own kernels, (N, H, W, C) to (N, H', W', O).

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size : int or (rows, columns)
        The parameters are `kernels` (kh, kw, C, O) and `bias` (O,), initialised as in `Dense`.
    stride, padding, dilation
        As in `conv2d`.
    rng, dtype
        As in `Dense`.
    """

    weight_name = "kernels"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: Padding = 0,
        dilation: int | Sequence[int] = 1,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        size = pair("kernel_size", kernel_size)
        super().__init__((*size, in_channels, out_channels), rng, dtype)
        self.stride, self.padding, self.dilation = stride, padding, dilation

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        self._x = x if training else None
        out = conv.forward(x, self.weight, self._geometry(x))
        out += self.bias
        return out

    def backward(self, d_out: FloatArray) -> FloatArray:
        return self._backward(d_out, input_gradient=True)

    def backward_parameters(self, d_out: FloatArray) -> None:
        self._backward(d_out, input_gradient=False)

    def _backward(self, d_out: FloatArray, *, input_gradient: bool) -> FloatArray:
        x = self._remembered(self._x)
        geometry = self._geometry(x)
        require_shape("d_out", d_out, (len(x), *geometry.output, len(self.bias)))
        d_x, self.d_weight[...] = conv.backward(
            d_out, x, self.weight, geometry, input_gradient=input_gradient
        )
        d_out.sum(axis=(0, 1, 2), out=self.d_bias)
        return d_x

    def _geometry(self, x: FloatArray) -> Geometry:
        return conv.check(x, self.weight, self.bias, self.stride, self.padding, self.dilation)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3 or input_shape[2] != self.weight.shape[2]:
            raise ValueError(
                f"Conv2D takes images (H, W, {self.weight.shape[2]}), one example here has shape "
                f"{input_shape}"
            )
        size = (input_shape[0], input_shape[1])
        kernel_size = (self.weight.shape[0], self.weight.shape[1])
        geometry = resolve(size, kernel_size, self.stride, self.padding, self.dilation)
        return (*geometry.output, len(self.bias))

    def multiply_adds(self, input_shape: Shape) -> int:
        rows, columns, _ = self.output_shape(input_shape)
        return rows * columns * self.weight.size


class _Pool(Layer):
    """A pooling layer's window and what it remembers."""

    def __init__(self, size: int | Sequence[int] = 2, stride: int | Sequence[int] | None = None) -> None:
        self.size = pair("size", size)
        self.stride = self.size if stride is None else pair("stride", stride)
        self._x: FloatArray | None = None

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise ValueError(f"pooling takes images (H, W, C), one example here is {input_shape}")
        geometry = resolve((input_shape[0], input_shape[1]), self.size, self.stride)
        return (*geometry.output, input_shape[2])


class MaxPool2D(_Pool):
    """`max_pool2d` as a layer: (N, H, W, C) to (N, H', W', C); `stride` defaults to `size`."""

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        self._x = x if training else None
        return pooling.max_pool2d(x, self.size, self.stride)

    def backward(self, d_out: FloatArray) -> FloatArray:
        return pooling.max_pool2d_backward(d_out, self._remembered(self._x), self.size, self.stride)


class AvgPool2D(_Pool):
    """`avg_pool2d` as a layer: (N, H, W, C) to (N, H', W', C); `stride` defaults to `size`."""

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        self._x = x if training else None
        return pooling.avg_pool2d(x, self.size, self.stride)

    def backward(self, d_out: FloatArray) -> FloatArray:
        return pooling.avg_pool2d_backward(d_out, self._remembered(self._x), self.size, self.stride)


class Flatten(Layer):
    """Lay each example out as one row, (N, H, W, C) to (N, H W C): channels vary fastest."""

    def __init__(self) -> None:
        self._shape: Shape | None = None

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        require_float("x", x)
        self._shape = x.shape if training else None
        # The batch innermost in memory, as the convolutions leave it: nothing is turned around.
        return np.moveaxis(x, 0, -1).reshape(-1, len(x)).T

    def backward(self, d_out: FloatArray) -> FloatArray:
        if self._shape is None:
            raise ValueError("Flatten.backward needs forward(x, training=True) first")
        return d_out.reshape(self._shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (int(np.prod(input_shape)),)
