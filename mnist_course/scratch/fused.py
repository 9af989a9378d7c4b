r"""A faster way through convolution, ReLU and max pooling: all three at once.

A convolution followed by 2x2 max pooling is a stride-2 convolution with four kernels for each one,
followed by a maximum over the four. Kernel (dy, dx) of the four is the original, shifted by dy rows
and dx columns inside a kernel one pixel larger:

.. math:: \max_{dy,dx} y_{2i+dy,\,2j+dx,\,o}
          = \max_{dy,dx} \sum_{p,q,c} x_{2i+p,\,2j+q,\,c}\; w^{(dy,dx)}_{p,q,c,o}, \qquad
          w^{(dy,dx)}_{p,q} = w_{p-dy,\,q-dx}

That costs (6/5)² of the arithmetic for a 5x5 kernel. In return the column matrix is a third of the
size, the matrix product has a better shape, pooling compares four contiguous arrays, and bias and
ReLU, which are monotone and so may wait until after the maximum, touch a quarter of the values.
`benchmarks/lenet5_step.py` measures the ratio to the plain layers, and a test proves that both
agree.
"""
# ruff: noqa: D102 (methods that override inherit the docstring of `Layer`)

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnist_course.scratch import conv
from mnist_course.scratch.arrays import WORKSPACE, FloatArray, require_shape
from mnist_course.scratch.geometry import Geometry
from mnist_course.scratch.layers import Conv2D, Layer, MaxPool2D, ReLU

# With many weights the product itself dominates, and extra arithmetic no longer pays. The limit lies
# between LeNet-5's 2,400 weights, where it was measured to pay, and 18,432 of 3x3, 32 to 64.
LARGEST = 4096


def plan(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers to run: those given, with every fusable run of them replaced by one."""
    steps: list[Layer] = []
    rest = list(layers)
    while rest:
        kinds = [type(layer) for layer in rest[:3]]
        if kinds == [Conv2D, ReLU, MaxPool2D] and _fusable(rest[0], rest[2]):
            steps.append(ConvReLUPool(rest[0], rest[2]))  # type: ignore[arg-type]
            rest = rest[3:]
        else:
            steps.append(rest.pop(0))
    return steps


def _fusable(convolution: Layer, pool: Layer) -> bool:
    assert isinstance(convolution, Conv2D)
    assert isinstance(pool, MaxPool2D)
    plain = {convolution.stride, convolution.dilation} <= {1, (1, 1)}
    return plain and pool.stride == pool.size and convolution.weight.size <= LARGEST


class ConvReLUPool(Layer):
    """Conv2D with stride 1, ReLU, and MaxPool2D without overlap, computed together.

    Parameters
    ----------
    convolution : Conv2D
        Its weights are used and its gradients written; this layer has none of its own.
    pool : MaxPool2D
        With stride equal to size.
    """

    def __init__(self, convolution: Conv2D, pool: MaxPool2D) -> None:
        self.convolution, self.tile = convolution, pool.size
        self._x: FloatArray | None = None

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        kernels, geometry = self._tiled(x)
        tiles = conv.forward(x, kernels, geometry)  # (N, H', W', ty tx O)
        # In memory the channels come first, so this is a view (ty tx, O, H', W', N).
        candidates = tiles.transpose(3, 1, 2, 0).reshape(
            self.tile[0] * self.tile[1], -1, *geometry.output, len(x)
        )
        largest: FloatArray = candidates.max(axis=0)  # (O, H', W', N)
        out: FloatArray = largest + self.convolution.bias[:, None, None, None]
        np.maximum(out, 0, out=out)
        self._x = None
        if training:
            self._x, self._candidates, self._largest, self._out = x, candidates, largest, out
        return out.transpose(3, 1, 2, 0)

    def backward(self, d_out: FloatArray) -> FloatArray:
        return self._backward(d_out, input_gradient=True)

    def backward_parameters(self, d_out: FloatArray) -> None:
        self._backward(d_out, input_gradient=False)

    def _backward(self, d_out: FloatArray, *, input_gradient: bool) -> FloatArray:
        x = self._remembered(self._x)
        require_shape("d_out", d_out, self._out.transpose(3, 1, 2, 0).shape)
        d_largest = d_out.transpose(3, 1, 2, 0) * (self._out > 0)  # (O, H', W', N)
        d_candidates = WORKSPACE.empty("d_candidates", self._candidates.shape, x.dtype)
        decided = np.zeros(d_largest.shape, dtype=bool)
        for d_candidate, candidate in zip(d_candidates, self._candidates, strict=True):
            wins = candidate == self._largest
            np.greater(wins, decided, out=wins)  # of equal maxima the first one wins
            decided |= wins
            np.multiply(d_largest, wins, out=d_candidate)
        kernels, geometry = self._tiled(x)
        d_tiles = d_candidates.reshape(-1, *d_largest.shape[1:]).transpose(3, 1, 2, 0)
        d_x, d_kernels = conv.backward(d_tiles, x, kernels, geometry, input_gradient=input_gradient)
        self.convolution.d_weight[...] = self._fold(d_kernels)
        d_largest.sum(axis=(1, 2, 3), out=self.convolution.d_bias)
        return d_x

    def _tiled(self, x: FloatArray) -> tuple[FloatArray, Geometry]:
        """Return the shifted kernels (kh + ty - 1, kw + tx - 1, C, ty tx O) and their geometry."""
        layer, (ty, tx) = self.convolution, self.tile
        plain = conv.check(x, layer.weight, layer.bias, 1, layer.padding, 1)
        kh, kw, channels, outputs = layer.weight.shape
        output = (plain.output[0] // ty, plain.output[1] // tx)
        if min(output) < 1:
            raise ValueError(
                f"the pooling window covers {ty}x{tx} pixels but the convolution's output has "
                f"only {plain.output[0]}x{plain.output[1]}; use a smaller window"
            )
        shifted = np.zeros((kh + ty - 1, kw + tx - 1, channels, ty, tx, outputs), x.dtype)
        for dy in range(ty):
            for dx in range(tx):
                shifted[dy : dy + kh, dx : dx + kw, :, dy, dx] = layer.weight
        kernels = shifted.reshape(*shifted.shape[:3], -1)
        return kernels, plain._replace(stride=self.tile, output=output)

    def _fold(self, d_kernels: FloatArray) -> FloatArray:
        """Add up what the shifted copies of each weight received: the transpose of `_tiled`."""
        (kh, kw, channels, outputs), (ty, tx) = self.convolution.weight.shape, self.tile
        shifted = d_kernels.reshape(*d_kernels.shape[:2], channels, ty, tx, outputs)
        total = np.zeros((kh, kw, channels, outputs), d_kernels.dtype)
        for dy in range(ty):
            for dx in range(tx):
                total += shifted[dy : dy + kh, dx : dx + kw, :, dy, dx]
        return total
