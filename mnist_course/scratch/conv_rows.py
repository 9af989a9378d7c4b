"""im2col with one row for each position, for images that lie channels last in memory.

This is im2col as one draws it: the window at each position, (kh, kw, C) numbers, becomes a row, and
the rows times the kernels, (kh kw C, O), are the output. With many channels a row is a few long
contiguous pieces, and nothing has to be turned around; `conv` has the other memory order, for few
channels. Images are taken in groups, so that the rows stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from mnist_course.scratch.arrays import WORKSPACE, FloatArray, Pair
from mnist_course.scratch.geometry import Geometry

# A group's rows stay below this many bytes: they are read once or twice while in the cache.
GROUP_BYTES = 2**21


def forward(images: FloatArray, kernels: FloatArray, geometry: Geometry) -> FloatArray:
    """Compute `conv2d` for checked arguments, without bias: (N, H', W', O)."""
    kh, kw, _, outputs = kernels.shape
    padded = pad(images, geometry)
    matrix = kernels.reshape(-1, outputs)  # (kh kw C, O)
    out = np.empty((len(images), *geometry.output, outputs), images.dtype)
    for group in _groups(len(images), kernels, geometry):
        rows = im2col(padded[group], (kh, kw), geometry)  # (positions, kh kw C)
        np.matmul(rows, matrix, out=out[group].reshape(-1, outputs))
    return out


def backward(
    d_out: FloatArray,
    images: FloatArray,
    kernels: FloatArray,
    geometry: Geometry,
    *,
    input_gradient: bool = True,
) -> tuple[FloatArray, FloatArray]:
    """Compute d_images and d_kernels for checked arguments; d_images is empty if not wanted."""
    kh, kw, channels, outputs = kernels.shape
    (top, _), (left, _) = geometry.padding
    padded = pad(images, geometry)
    d_padded = np.zeros_like(padded) if input_gradient else np.empty(0, images.dtype)
    d_matrix = np.zeros((kh * kw * channels, outputs), images.dtype)
    for group in _groups(len(images), kernels, geometry):
        d_rows = d_out[group].reshape(-1, outputs)  # (positions, O)
        d_matrix += np.matmul(im2col(padded[group], (kh, kw), geometry).T, d_rows)
        if not input_gradient:
            continue
        for p in range(kh):
            for q in range(kw):
                d_tap = np.matmul(d_rows, kernels[p, q].T)  # (positions, C)
                d_padded[group, *geometry.tap(p, q)] += d_tap.reshape(-1, *geometry.output, channels)
    d_kernels = d_matrix.reshape(kernels.shape)
    if not input_gradient:
        return d_padded, d_kernels
    height, width = images.shape[1:3]
    return d_padded[:, top : top + height, left : left + width], d_kernels


def im2col(padded: FloatArray, kernel_size: Pair, geometry: Geometry) -> FloatArray:
    """Copy what the kernel sees at each position of a padded batch (N, H, W, C) into one row.

    Returns (N H' W', kh kw C), in the column order of `kernels.reshape(-1, O)`; the next call
    overwrites it.
    """
    (kh, kw), (sy, sx), (dy, dx) = kernel_size, geometry.stride, geometry.dilation
    n, _, _, channels = padded.shape
    by_image, by_row, by_column, by_channel = padded.strides
    seen = as_strided(  # (N, H', W', kh, kw, C), a view: no pixel is copied yet
        padded,
        (n, *geometry.output, kh, kw, channels),
        (by_image, sy * by_row, sx * by_column, dy * by_row, dx * by_column, by_channel),
        writeable=False,
    )
    rows = WORKSPACE.empty("columns", seen.shape, padded.dtype)
    np.copyto(rows, seen)
    return rows.reshape(-1, kh * kw * channels)


def pad(images: FloatArray, geometry: Geometry) -> FloatArray:
    """Surround images (N, H, W, C) with the geometry's zeros; without any, return them as is."""
    if not geometry.is_padded:
        return images
    n, height, width, channels = images.shape
    (top, bottom), (left, right) = geometry.padding
    padded = np.zeros((n, height + top + bottom, width + left + right, channels), images.dtype)
    padded[:, top : top + height, left : left + width] = images
    return padded


def _groups(n: int, kernels: FloatArray, geometry: Geometry) -> Iterator[slice]:
    bytes_per_image = geometry.output[0] * geometry.output[1] * kernels[..., 0].nbytes
    step = max(1, GROUP_BYTES // bytes_per_image)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
