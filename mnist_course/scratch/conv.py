"""Convolution, forward and backward, channels last.

As in every deep-learning library, the "convolution" of a layer is a cross-correlation: the
kernel is not flipped. `conv2d(images, kernels[::-1, ::-1])` is the mathematician's convolution.

How it is fast: `im2col` writes what the kernel sees at each position into one column, and one
matrix product does the rest. The batch is kept innermost in memory, so that a column matrix is
filled by long contiguous copies, and the positions are taken in bands of rows, so that it stays
in the cache. The result has the shape (N, H, W, C) and the memory order (C, H, W, N); NumPy's
strides make that invisible, and the next layer finds its input in the order it likes. Images with
many channels that come channels last in memory go through `conv_rows` instead.

The chapter that derives it: chapters/02_convolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided

from mnist_course.errors import InputError
from mnist_course.scratch import conv_methods, conv_rows
from mnist_course.scratch.arrays import (
    WORKSPACE,
    FloatArray,
    Pair,
    require_float,
    require_same_dtype,
    require_shape,
)
from mnist_course.scratch.geometry import Geometry, Padding, resolve

Method = Literal["im2col", "loops", "fft"]

# From this many channels on, images that lie channels last in memory are left as they lie. Measured
# in benchmarks/conv2d.py: rows are slower with 1, 6 and 8 channels and faster with 32.
MANY_CHANNELS = 16
# A band's column matrix stays below this many bytes: it is read twice while in the cache.
BAND_BYTES = 6 * 2**20


def conv2d(
    images: FloatArray,
    kernels: FloatArray,
    bias: FloatArray | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    method: Method = "im2col",
) -> FloatArray:
    r"""Slide every kernel over every image.

    .. math:: y_{n,i,j,o} = b_o + \sum_{p,q,c} x_{n,\; i s + p d,\; j s + q d,\; c}\, w_{p,q,c,o}

    Parameters
    ----------
    images : array (N, H, W, C)
        float32 or float64.
    kernels : array (kh, kw, C, O)
        The same dtype.
    bias : array (O,), optional
        Added to each output channel.
    stride, dilation : int or (rows, columns)
        Step of the kernel, and distance between its taps.
    padding : int, "same", "valid" or ((top, bottom), (left, right))
        Zeros around the image. "same" is the rule of TensorFlow and Keras: ceil(H / stride)
        rows come out, and an odd number of zeros puts the extra one at the bottom and right.
    method : {"im2col", "loops", "fft"}
        One matrix product, the formula transcribed, or a product of spectra.

    Returns
    -------
    array (N, H', W', O)
        With H' = floor((H + top + bottom - dilation (kh - 1) - 1) / stride) + 1.

    Raises
    ------
    ValueError
        For channels that differ, a kernel larger than the padded image, stride 0, a wrong dtype.

    >>> conv2d(np.ones((1, 3, 3, 1)), np.ones((3, 3, 1, 1)), padding=1)[0, :, :, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    geometry = check(images, kernels, bias, stride, padding, dilation)
    if method == "im2col":
        out = forward(images, kernels, geometry)
    elif method == "loops":
        out = conv_methods.loops(conv_rows.pad(images, geometry), kernels, geometry)
    elif method == "fft":
        out = conv_methods.fft(conv_rows.pad(images, geometry), kernels, geometry)
    else:
        raise ValueError(f"method is {method!r}, expected 'im2col', 'loops' or 'fft'")
    if bias is not None:
        out += bias
    return out


def conv2d_backward(
    d_out: FloatArray,
    images: FloatArray,
    kernels: FloatArray,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Carry the loss gradient of the output back to images, kernels and bias.

    With the columns matrix X (one row per output pixel) the forward pass is Y = X W. So
    :math:`dW = X^T dY`, :math:`dX = dY\, W^T`, and each entry of dX is added to the pixel it
    was copied from.

    Parameters
    ----------
    d_out : array (N, H', W', O)
        Gradient of the loss with respect to the output of `conv2d`.
    images, kernels, stride, padding, dilation
        As given to `conv2d`.

    Returns
    -------
    d_images : array (N, H, W, C)
    d_kernels : array (kh, kw, C, O)
    d_bias : array (O,)

    Raises
    ------
    ValueError
        As `conv2d`, and when `d_out` has not the output's shape.
    """
    geometry = check(images, kernels, None, stride, padding, dilation)
    require_float("d_out", d_out, ndim=4)
    require_same_dtype(d_out=d_out, images=images)
    require_shape("d_out", d_out, (len(images), *geometry.output, kernels.shape[3]))
    d_images, d_kernels = backward(d_out, images, kernels, geometry)
    return d_images, d_kernels, d_out.sum(axis=(0, 1, 2))


def forward(images: FloatArray, kernels: FloatArray, geometry: Geometry) -> FloatArray:
    """Compute `conv2d` for checked arguments, without bias."""
    if _prefers_rows(images):
        return conv_rows.forward(images, kernels, geometry)
    kh, kw, _, outputs = kernels.shape
    padded = pad(images, geometry)
    matrix = kernels.reshape(-1, outputs).T  # (O, kh kw C)
    out = np.empty((outputs, *geometry.output, len(images)), images.dtype)
    for band in bands(kernels, len(images), geometry):
        columns = im2col(padded, (kh, kw), geometry, band)
        np.matmul(matrix, columns, out=out[:, band].reshape(outputs, -1))
    return out.transpose(3, 1, 2, 0)  # (N, H', W', O)


def backward(
    d_out: FloatArray,
    images: FloatArray,
    kernels: FloatArray,
    geometry: Geometry,
    *,
    input_gradient: bool = True,
) -> tuple[FloatArray, FloatArray]:
    """Compute d_images and d_kernels for checked arguments.

    Without `input_gradient`, which a network's first layer does not need, d_images is empty.
    """
    if _prefers_rows(images):
        return conv_rows.backward(d_out, images, kernels, geometry, input_gradient=input_gradient)
    kh, kw, _, outputs = kernels.shape
    padded = pad(images, geometry)
    matrix = kernels.reshape(-1, outputs)  # (kh kw C, O)
    d_padded = np.zeros_like(padded) if input_gradient else np.empty(0, images.dtype)
    d_matrix = np.zeros_like(matrix)
    for band in bands(kernels, len(images), geometry):
        d_band = d_out[:, band].transpose(3, 1, 2, 0).reshape(outputs, -1)  # (O, positions)
        columns = im2col(padded, (kh, kw), geometry, band)
        d_matrix += np.matmul(columns, d_band.T)
        if input_gradient:
            np.matmul(matrix, d_band, out=columns)
            col2im(columns, d_padded, (kh, kw), geometry, band)
    d_kernels = d_matrix.reshape(kernels.shape)
    if not input_gradient:
        return d_padded, d_kernels
    (top, _), (left, _) = geometry.padding
    rows, cols = slice(top, top + images.shape[1]), slice(left, left + images.shape[2])
    return d_padded[:, rows, cols].transpose(3, 1, 2, 0), d_kernels


def im2col(
    padded: FloatArray,
    kernel_size: Pair,
    geometry: Geometry,
    band: slice | None = None,
) -> FloatArray:
    """Copy what the kernel sees at each position into one column.

    Parameters
    ----------
    padded : array (C, H + top + bottom, W + left + right, N)
        A padded batch, contiguous, as `pad` makes it.
    kernel_size : (rows, columns)
    geometry : Geometry
    band : slice, optional
        The rows of the output to make columns for; by default all.

    Returns
    -------
    array (kh kw C, rows W' N)
        In the row order of `kernels.reshape(-1, O)`; overwritten by the next call.
    """
    (kh, kw), (sy, sx), (dy, dx) = kernel_size, geometry.stride, geometry.dilation
    start, stop = (0, geometry.output[0]) if band is None else (band.start, band.stop)
    channels, _, _, n = padded.shape
    by_channel, by_row, by_column, by_image = padded.strides
    seen = as_strided(  # (kh, kw, C, rows, W', N), a view: no pixel is copied yet
        padded[:, start * sy :],
        (kh, kw, channels, stop - start, geometry.output[1], n),
        (dy * by_row, dx * by_column, by_channel, sy * by_row, sx * by_column, by_image),
        writeable=False,
    )
    columns = WORKSPACE.empty("columns", seen.shape, padded.dtype)
    np.copyto(columns, seen)
    return columns.reshape(kh * kw * channels, -1)


def col2im(
    d_columns: FloatArray,
    d_padded: FloatArray,
    kernel_size: Pair,
    geometry: Geometry,
    band: slice | None = None,
) -> None:
    """Add each entry of `d_columns` to its pixel of `d_padded`: the transpose of `im2col`."""
    (kh, kw), (sy, sx), (dy, dx) = kernel_size, geometry.stride, geometry.dilation
    start, stop = (0, geometry.output[0]) if band is None else (band.start, band.stop)
    channels, _, _, n = d_padded.shape
    taps = d_columns.reshape(kh, kw, channels, stop - start, geometry.output[1], n)
    for p in range(kh):
        rows = slice(start * sy + p * dy, (stop - 1) * sy + p * dy + 1, sy)
        for q in range(kw):
            columns = slice(q * dx, (geometry.output[1] - 1) * sx + q * dx + 1, sx)
            d_padded[:, rows, columns] += taps[p, q]


def bands(kernels: FloatArray, n: int, geometry: Geometry) -> Iterator[slice]:
    """Cut the output's rows into bands whose column matrix is at most BAND_BYTES."""
    kh, kw, channels, _ = kernels.shape
    rows, columns = geometry.output
    bytes_per_row = kh * kw * channels * columns * n * kernels.itemsize
    step = max(1, BAND_BYTES // max(bytes_per_row, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def pad(images: FloatArray, geometry: Geometry) -> FloatArray:
    """Surround images (N, H, W, C) with zeros, as an array (C, H + ..., W + ..., N)."""
    turned = images.transpose(3, 1, 2, 0)
    if not geometry.is_padded:
        return np.ascontiguousarray(turned)
    n, height, width, channels = images.shape
    (top, bottom), (left, right) = geometry.padding
    padded = np.zeros((channels, height + top + bottom, width + left + right, n), images.dtype)
    padded[:, top : top + height, left : left + width] = turned
    return padded


def _prefers_rows(images: FloatArray) -> bool:
    return images.shape[3] >= MANY_CHANNELS and images.flags.c_contiguous


def check(
    images: FloatArray,
    kernels: FloatArray,
    bias: FloatArray | None,
    stride: int | Sequence[int],
    padding: Padding,
    dilation: int | Sequence[int],
) -> Geometry:
    """Check that the arrays fit each other and return the geometry, or raise ValueError."""
    require_float("images", images, ndim=4)
    require_float("kernels", kernels, ndim=4)
    require_same_dtype(images=images, kernels=kernels, bias=bias)
    if kernels.shape[2] != images.shape[3]:
        advice = f"pass kernels.shape == (kh, kw, {images.shape[3]}, out)"
        if kernels.shape[2] == images.shape[1]:
            advice = "channels first? pass np.moveaxis(images, 1, -1)"
        raise InputError(
            f"kernels have {kernels.shape[2]} input channels but the images have "
            f"{images.shape[3]}; {advice}"
        )
    if 0 in kernels.shape or not len(images):
        raise ValueError(
            f"images have shape {images.shape} and kernels {kernels.shape}, "
            "expected every size to be >= 1"
        )
    if bias is not None:
        require_shape("bias", bias, (kernels.shape[3],))
    kernel_size = (kernels.shape[0], kernels.shape[1])
    return resolve((images.shape[1], images.shape[2]), kernel_size, stride, padding, dilation)
