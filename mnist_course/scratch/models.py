"""The course's networks in NumPy: the same layers, in the same order, as in the other wings.

Every function takes the seed of the initial weights and returns a `Sequential` from images
(N, 28, 28, 1), float32 in [0, 1], to logits (N, 10).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from mnist_course.errors import InputError
from mnist_course.scratch.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU
from mnist_course.scratch.network import Sequential

DIGITS = (28, 28, 1)


def build(name: str, *, seed: int = 0) -> Sequential:
    """Build a network by name; its weights depend on `seed` alone.

    Raises
    ------
    InputError
        The name is unknown.
    """
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; choose one of {', '.join(MODELS)}")
    return MODELS[name](seed)


def lenet5(seed: int = 0, *, dtype: DTypeLike = np.float32) -> Sequential:
    """Build LeNet-5 as it is taught today: 61,706 parameters.

    The layer sizes are those of LeCun et al. (1998), section II; ReLU, max pooling and
    softmax have replaced scaled tanh, trained subsampling and radial basis functions.
    """
    rng = np.random.default_rng(seed)
    layers: list[Layer] = [
        *_block(1, 6, 5, rng, dtype, padding=2),  # (N, 14, 14, 6)
        *_block(6, 16, 5, rng, dtype),  # (N, 5, 5, 16)
        Flatten(),
        Dense(400, 120, rng=rng, dtype=dtype),
        ReLU(),
        Dense(120, 84, rng=rng, dtype=dtype),
        ReLU(),
        Dense(84, 10, rng=rng, dtype=dtype),
    ]
    return Sequential(layers, DIGITS, name="lenet5")


def simple_cnn(seed: int = 0, *, dtype: DTypeLike = np.float32) -> Sequential:
    """Build two 5x5 convolutions, 10 and 20 kernels, and two dense layers: 21,840 parameters."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = [
        *_block(1, 10, 5, rng, dtype),  # (N, 12, 12, 10)
        *_block(10, 20, 5, rng, dtype),  # (N, 4, 4, 20)
        Flatten(),
        Dense(320, 50, rng=rng, dtype=dtype),
        ReLU(),
        Dense(50, 10, rng=rng, dtype=dtype),
    ]
    return Sequential(layers, DIGITS, name="simple_cnn")


def dense_cnn(seed: int = 0, *, dtype: DTypeLike = np.float32) -> Sequential:
    """Build two 3x3 convolutions, 32 and 64 kernels, and 128 hidden units: 225,034 parameters."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = [
        *_block(1, 32, 3, rng, dtype),  # (N, 13, 13, 32)
        *_block(32, 64, 3, rng, dtype),  # (N, 5, 5, 64)
        Flatten(),
        Dense(1600, 128, rng=rng, dtype=dtype),
        ReLU(),
        Dense(128, 10, rng=rng, dtype=dtype),
    ]
    return Sequential(layers, DIGITS, name="dense_cnn")


def small_cnn(seed: int = 0, *, dtype: DTypeLike = np.float32) -> Sequential:
    """Build `dense_cnn` without its hidden dense layer: 34,826 parameters."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = [
        *_block(1, 32, 3, rng, dtype),  # (N, 13, 13, 32)
        *_block(32, 64, 3, rng, dtype),  # (N, 5, 5, 64)
        Flatten(),
        Dense(1600, 10, rng=rng, dtype=dtype),
    ]
    return Sequential(layers, DIGITS, name="small_cnn")


def single_conv_cnn(seed: int = 0, *, dtype: DTypeLike = np.float32) -> Sequential:
    """Build one 3x3 convolution, 32 kernels, and 128 hidden units: 693,962 parameters."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = [
        *_block(1, 32, 3, rng, dtype),  # (N, 13, 13, 32)
        Flatten(),
        Dense(5408, 128, rng=rng, dtype=dtype),
        ReLU(),
        Dense(128, 10, rng=rng, dtype=dtype),
    ]
    return Sequential(layers, DIGITS, name="single_conv_cnn")


def _block(
    in_channels: int,
    out_channels: int,
    size: int,
    rng: np.random.Generator,
    dtype: DTypeLike,
    padding: int = 0,
) -> list[Layer]:
    return [
        Conv2D(in_channels, out_channels, size, padding=padding, rng=rng, dtype=dtype),
        ReLU(),
        MaxPool2D(2),
    ]


MODELS: dict[str, Callable[[int], Sequential]] = {
    "lenet5": lenet5,
    "simple_cnn": simple_cnn,
    "dense_cnn": dense_cnn,
    "small_cnn": small_cnn,
    "single_conv_cnn": single_conv_cnn,
}
