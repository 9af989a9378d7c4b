"""Convolution, forward and backward, channels last.

As in every deep-learning library, the "convolution" of a layer is a cross-correlation: the
kernel is not flipped. `conv2d(images, kernels[::-1, ::-1])` is the mathematician's convolution.

The chapter that derives it: chapters/02_convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnist_course.scratch import conv_methods
from mnist_course.scratch.arrays import (
    FloatArray,
    require_float,
    require_same_dtype,
    require_shape,
)
from mnist_course.scratch.geometry import Geometry, Padding, resolve

Method = Literal["im2col", "loops", "fft"]


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
    padded = pad(images, geometry)
    if method == "im2col":
        out = _im2col(padded, kernels, geometry)
    elif method == "loops":
        out = conv_methods.loops(padded, kernels, geometry)
    elif method == "fft":
        out = conv_methods.fft(padded, kernels, geometry)
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
    d_rows = d_out.reshape(-1, kernels.shape[3])  # (N H' W', O)
    columns = im2col(pad(images, geometry), kernels.shape[:2], geometry)
    d_kernels = (columns.T @ d_rows).reshape(kernels.shape)
    d_columns = d_rows @ kernels.reshape(-1, kernels.shape[3]).T
    d_images = col2im(d_columns, images.shape, kernels.shape[:2], geometry)
    return d_images, d_kernels, d_rows.sum(axis=0)


def im2col(padded: FloatArray, kernel_size: tuple[int, int], geometry: Geometry) -> FloatArray:
    """Copy what the kernel sees at each position into one row: (N H' W', kh kw C).

    `padded` is the padded batch (N, H + top + bottom, W + left + right, C).
    """
    return windows(padded, kernel_size, geometry).reshape(
        -1, kernel_size[0] * kernel_size[1] * padded.shape[3]
    )


def col2im(
    d_columns: FloatArray,
    image_shape: tuple[int, ...],
    kernel_size: tuple[int, int],
    geometry: Geometry,
) -> FloatArray:
    """Add each entry of `d_columns` (N H' W', kh kw C) to its pixel: the transpose of `im2col`.

    Returns (N, H, W, C): the zeros that `pad` added are cut off.
    """
    n, height, width, channels = image_shape
    (top, bottom), (left, right) = geometry.padding
    taps = d_columns.reshape(n, *geometry.output, *kernel_size, channels)
    d_padded = np.zeros(
        (n, height + top + bottom, width + left + right, channels), dtype=d_columns.dtype
    )
    for p in range(kernel_size[0]):
        for q in range(kernel_size[1]):
            d_padded[:, *tap(p, q, geometry)] += taps[:, :, :, p, q]
    return d_padded[:, top : top + height, left : left + width]


def tap(p: int, q: int, geometry: Geometry) -> tuple[slice, slice]:
    """Return the rows and columns that kernel entry (p, q) meets over all positions."""
    rows, columns = (
        slice(k * d, k * d + (count - 1) * s + 1, s)
        for k, d, s, count in zip(
            (p, q), geometry.dilation, geometry.stride, geometry.output, strict=True
        )
    )
    return rows, columns


def windows(padded: FloatArray, kernel_size: tuple[int, int], geometry: Geometry) -> FloatArray:
    """View the padded batch as (N, H', W', kh, kw, C) without copying a pixel."""
    (dy, dx), (sy, sx) = geometry.dilation, geometry.stride
    reach = (dy * (kernel_size[0] - 1) + 1, dx * (kernel_size[1] - 1) + 1)
    view = sliding_window_view(padded, reach, axis=(1, 2))  # (N, rows, columns, C, reach)
    return view[:, ::sy, ::sx, :, ::dy, ::dx].transpose(0, 1, 2, 4, 5, 3)


def pad(images: FloatArray, geometry: Geometry) -> FloatArray:
    """Surround images (N, H, W, C) with the geometry's zeros; without any, return them as is."""
    if not geometry.is_padded:
        return images
    n, height, width, channels = images.shape
    (top, bottom), (left, right) = geometry.padding
    padded = np.zeros((n, height + top + bottom, width + left + right, channels), dtype=images.dtype)
    padded[:, top : top + height, left : left + width] = images
    return padded


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
        raise ValueError(
            f"kernels have {kernels.shape[2]} input channels but the images have "
            f"{images.shape[3]}; pass kernels.shape == (kh, kw, {images.shape[3]}, out)"
        )
    if 0 in kernels.shape:
        raise ValueError(f"kernels have shape {kernels.shape}, expected every size to be >= 1")
    if bias is not None:
        require_shape("bias", bias, (kernels.shape[3],))
    kernel_size = (kernels.shape[0], kernels.shape[1])
    return resolve((images.shape[1], images.shape[2]), kernel_size, stride, padding, dilation)


def _im2col(padded: FloatArray, kernels: FloatArray, geometry: Geometry) -> FloatArray:
    columns = im2col(padded, kernels.shape[:2], geometry)
    flat = columns @ kernels.reshape(-1, kernels.shape[3])  # (N H' W', O)
    return flat.reshape(len(padded), *geometry.output, kernels.shape[3])
