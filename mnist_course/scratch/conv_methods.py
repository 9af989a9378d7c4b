"""Two other ways to the same convolution: the formula in loops, and the Fourier transform.

Both take the already padded batch (N, H, W, C) and kernels (kh, kw, C, O).
"""

from __future__ import annotations

import numpy as np

from mnist_course.scratch.arrays import FloatArray
from mnist_course.scratch.geometry import Geometry


def loops(padded: FloatArray, kernels: FloatArray, geometry: Geometry) -> FloatArray:
    """Transcribe the sum over p, q, c for each output n, i, j, o; seven nested loops."""
    kh, kw, channels, outputs = kernels.shape
    (sy, sx), (dy, dx) = geometry.stride, geometry.dilation
    rows, columns = geometry.output
    out = np.zeros((len(padded), rows, columns, outputs), dtype=padded.dtype)
    for n in range(len(padded)):
        for i in range(rows):
            for j in range(columns):
                for o in range(outputs):
                    total = padded.dtype.type(0)
                    for p in range(kh):
                        for q in range(kw):
                            for c in range(channels):
                                pixel = padded[n, i * sy + p * dy, j * sx + q * dx, c]
                                total += pixel * kernels[p, q, c, o]
                    out[n, i, j, o] = total
    return out


def fft(padded: FloatArray, kernels: FloatArray, geometry: Geometry) -> FloatArray:
    """Multiply spectra: correlation becomes a product with the conjugate (Mathieu et al. 2014).

    The transform is as large as the padded image. Its circular wrap-around then only reaches
    positions where the kernel hangs over the edge, and those are cut off.
    """
    kh, kw, channels, outputs = kernels.shape
    (sy, sx), (dy, dx) = geometry.stride, geometry.dilation
    size = padded.shape[1:3]
    dilated = np.zeros((dy * (kh - 1) + 1, dx * (kw - 1) + 1, channels, outputs), dtype=kernels.dtype)
    dilated[::dy, ::dx] = kernels
    image_spectra = np.fft.rfft2(padded, s=size, axes=(1, 2)).transpose(1, 2, 0, 3)
    kernel_spectra = np.fft.rfft2(dilated, s=size, axes=(0, 1))
    # (H, W/2+1, N, C) @ (H, W/2+1, C, O): the sum over channels at each frequency.
    spectra = (image_spectra @ kernel_spectra.conj()).transpose(2, 0, 1, 3)
    full = np.fft.irfft2(spectra, s=size, axes=(1, 2))
    rows, columns = geometry.output
    valid = full[:, : (rows - 1) * sy + 1 : sy, : (columns - 1) * sx + 1 : sx]
    return np.ascontiguousarray(valid, dtype=padded.dtype)
