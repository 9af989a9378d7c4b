"""Max and average pooling, forward and backward, channels last.

Windows lie wholly inside the image (no padding); rows and columns that no window reaches are
ignored and get gradient 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mnist_course.scratch.arrays import (
    FloatArray,
    Pair,
    require_float,
    require_same_dtype,
    require_shape,
)
from mnist_course.scratch.geometry import Geometry, pair, resolve


def max_pool2d(
    images: FloatArray, size: int | Sequence[int] = 2, stride: int | Sequence[int] | None = None
) -> FloatArray:
    """Keep the largest value of each window and channel.

    Parameters
    ----------
    images : array (N, H, W, C)
        float32 or float64.
    size : int or (rows, columns)
        The window.
    stride : int or (rows, columns), optional
        The step between windows; by default `size`, so that windows do not overlap.

    Returns
    -------
    array (N, H', W', C)
        With H' = floor((H - size) / stride) + 1.

    Raises
    ------
    ValueError
        For a window larger than the image, stride 0 or a wrong dtype.
    """
    window, geometry = _geometry(images, size, stride)
    views = [images[:, rows, columns] for rows, columns in _taps(window, geometry)]
    out = views[0].copy(order="K")
    for view in views[1:]:
        np.maximum(out, view, out=out)
    return out


def max_pool2d_backward(
    d_out: FloatArray,
    images: FloatArray,
    size: int | Sequence[int] = 2,
    stride: int | Sequence[int] | None = None,
) -> FloatArray:
    """Give each output's gradient to the pixel that won its window; returns (N, H, W, C).

    Of equal maxima the first in row-major order wins, as in PyTorch. Where windows overlap,
    gradients add up.
    """
    window, geometry = _geometry(images, size, stride)
    _check_gradient(d_out, images, geometry)
    out = max_pool2d(images, window, geometry.stride)
    d_images = np.zeros_like(images)
    decided = np.zeros_like(out, dtype=bool)  # windows whose winner has been found
    for rows, columns in _taps(window, geometry):
        wins = images[:, rows, columns] == out
        np.greater(wins, decided, out=wins)
        decided |= wins
        d_images[:, rows, columns] += d_out * wins
    return d_images


def avg_pool2d(
    images: FloatArray, size: int | Sequence[int] = 2, stride: int | Sequence[int] | None = None
) -> FloatArray:
    """Average each window and channel; shapes, options and errors as `max_pool2d`."""
    window, geometry = _geometry(images, size, stride)
    views = [images[:, rows, columns] for rows, columns in _taps(window, geometry)]
    out = views[0].copy(order="K")
    for view in views[1:]:
        out += view
    out /= window[0] * window[1]
    return out


def avg_pool2d_backward(
    d_out: FloatArray,
    images: FloatArray,
    size: int | Sequence[int] = 2,
    stride: int | Sequence[int] | None = None,
) -> FloatArray:
    """Share each output's gradient equally among its window's pixels; returns (N, H, W, C)."""
    window, geometry = _geometry(images, size, stride)
    _check_gradient(d_out, images, geometry)
    share = d_out / (window[0] * window[1])
    d_images = np.zeros_like(images)
    for rows, columns in _taps(window, geometry):
        d_images[:, rows, columns] += share
    return d_images


def _geometry(
    images: FloatArray, size: int | Sequence[int], stride: int | Sequence[int] | None
) -> tuple[Pair, Geometry]:
    require_float("images", images, ndim=4)
    window = pair("size", size)
    image_size = (images.shape[1], images.shape[2])
    return window, resolve(image_size, window, window if stride is None else stride)


def _taps(window: Pair, geometry: Geometry) -> Iterator[tuple[slice, slice]]:
    return (geometry.tap(p, q) for p in range(window[0]) for q in range(window[1]))


def _check_gradient(d_out: FloatArray, images: FloatArray, geometry: Geometry) -> None:
    require_float("d_out", d_out, ndim=4)
    require_same_dtype(d_out=d_out, images=images)
    require_shape("d_out", d_out, (len(images), *geometry.output, images.shape[3]))
