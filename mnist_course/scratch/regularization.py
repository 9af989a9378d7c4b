"""Layers that behave differently in training and in evaluation: dropout, batch normalisation."""

# ruff: noqa: D102 (methods that override inherit the docstring of `Layer`)
from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from mnist_course.scratch.arrays import (
    FloatArray,
    float_dtype,
    require_float,
    require_same_dtype,
    require_shape,
)
from mnist_course.scratch.layers import Layer, Shape


class Dropout(Layer):
    """Set each value to 0 with probability `rate` in training; do nothing in evaluation.

    The survivors are divided by 1 - rate, so the expected value stays ("inverted" dropout,
    Srivastava et al. 2014). The backward pass uses the same mask and the same factor.

    Parameters
    ----------
    rate : float in [0, 1)
        The share of values that is dropped.
    rng : Generator, int or None
        Source of the masks; an integer is a seed.
    """

    def __init__(self, rate: float = 0.5, *, rng: np.random.Generator | int | None = None) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"rate is {rate}, expected 0 <= rate < 1")
        self.rate = rate
        self.generator = np.random.default_rng(rng)
        self._scale: FloatArray | None = None  # 0 or 1 / (1 - rate)

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        require_float("x", x)
        if not training:
            self._scale = None
            return x
        kept = self.generator.random(x.shape, dtype=np.float32) >= self.rate
        self._scale = kept * x.dtype.type(1 / (1 - self.rate))
        return x * self._scale

    def backward(self, d_out: FloatArray) -> FloatArray:
        return d_out * self._remembered(self._scale)


class BatchNorm(Layer):
    r"""Normalise each channel over the batch, then scale and shift it (Ioffe and Szegedy 2015).

    .. math:: y = \gamma\, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    The channel is the last axis: (N, C) or (N, H, W, C). Training uses the batch's mean and
    variance and updates running ones; evaluation uses the running ones.

    Parameters
    ----------
    channels : int
        The parameters are `gamma` and `beta`, the buffers `running_mean` and `running_variance`,
        all (channels,).
    momentum : float in (0, 1]
        Weight of the *new* batch in the running statistics: PyTorch's convention, 1 minus
        Keras' momentum. As in PyTorch the running variance is the unbiased one.
    epsilon : float
        Keeps the denominator from 0.
    dtype : float32 or float64
    """

    def __init__(
        self,
        channels: int,
        *,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if channels < 1 or not 0 < momentum <= 1 or epsilon <= 0:
            raise ValueError(
                f"channels={channels}, momentum={momentum}, epsilon={epsilon}; expected "
                "channels >= 1, 0 < momentum <= 1 and epsilon > 0"
            )
        kind = float_dtype(dtype)
        self.momentum, self.epsilon = momentum, epsilon
        self.gamma, self.beta = np.ones(channels, kind), np.zeros(channels, kind)
        self.d_gamma, self.d_beta = np.zeros(channels, kind), np.zeros(channels, kind)
        self.running_mean, self.running_variance = np.zeros(channels, kind), np.ones(channels, kind)
        self._normalized: FloatArray | None = None
        self._deviation = self.running_variance  # sqrt(variance + epsilon) of the last batch

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        require_float("x", x)
        require_same_dtype(x=x, gamma=self.gamma)
        self.output_shape(x.shape[1:])
        if not training:
            self._normalized = None
            scale = self.gamma / np.sqrt(self.running_variance + self.epsilon)
            return x * scale + (self.beta - self.running_mean * scale)
        axes = tuple(range(x.ndim - 1))
        count = x.size // len(self.gamma)
        if count < 2:
            raise ValueError(
                "batch normalisation needs more than one value per channel in training, came "
                f"shape {x.shape}; use a larger batch"
            )
        mean = x.mean(axis=axes)
        centered = x - mean
        variance = (centered * centered).mean(axis=axes)
        self.running_mean += self.momentum * (mean - self.running_mean)
        unbiased = variance * (count / (count - 1))
        self.running_variance += self.momentum * (unbiased - self.running_variance)
        self._deviation = np.sqrt(variance + self.epsilon)
        self._normalized = centered / self._deviation
        return self._normalized * self.gamma + self.beta

    def backward(self, d_out: FloatArray) -> FloatArray:
        r"""Use :math:`dx = \frac{\gamma}{\sigma}(dy - \overline{dy} - \hat x\,\overline{dy\hat x})`.

        The two means are what the batch's own mean and variance contribute.
        """
        normalized = self._remembered(self._normalized)
        require_shape("d_out", d_out, normalized.shape)
        axes = tuple(range(d_out.ndim - 1))
        count = d_out.size // len(self.gamma)
        self.d_beta[...] = d_out.sum(axis=axes)
        self.d_gamma[...] = (d_out * normalized).sum(axis=axes)
        inner = d_out - self.d_beta / count - normalized * (self.d_gamma / count)
        return inner * (self.gamma / self._deviation)

    def parameters(self) -> dict[str, FloatArray]:
        return {"gamma": self.gamma, "beta": self.beta}

    def gradients(self) -> dict[str, FloatArray]:
        return {"gamma": self.d_gamma, "beta": self.d_beta}

    def buffers(self) -> dict[str, FloatArray]:
        return {"running_mean": self.running_mean, "running_variance": self.running_variance}

    def output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape or input_shape[-1] != len(self.gamma):
            raise ValueError(
                f"BatchNorm has {len(self.gamma)} channels, one example here has shape "
                f"{input_shape}; its last axis must be {len(self.gamma)}"
            )
        return input_shape

    def multiply_adds(self, input_shape: Shape) -> int:
        return int(np.prod(input_shape))
