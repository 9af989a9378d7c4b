"""What the NumPy wing accepts: array types and the checks at its doors.

Every message says what came, what was expected and what to do.
"""

from __future__ import annotations

import math
import threading
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mnist_course.errors import InputError

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
Pair: TypeAlias = tuple[int, int]

FLOATS: tuple[np.dtype[np.floating[Any]], ...] = (np.dtype(np.float32), np.dtype(np.float64))


def require_float(name: str, array: FloatArray, ndim: int | None = None) -> None:
    """Raise InputError unless `array` is float32 or float64 and has `ndim` axes."""
    if not isinstance(array, np.ndarray):
        raise InputError(
            f"{name} is a {type(array).__name__}, expected a NumPy array; pass np.asarray(...)"
        )
    if array.dtype not in FLOATS:
        raise InputError(
            f"{name} has dtype {array.dtype}, expected float32 or float64; "
            f"pass {name}.astype(np.float32), pixels divided by 255"
        )
    if ndim is not None and array.ndim != ndim:
        raise InputError(
            f"{name} has {array.ndim} axes (shape {array.shape}), expected {ndim}"
            + (": (N, H, W, C)" if ndim == 4 and name == "images" else "")
        )


def require_same_dtype(**arrays: FloatArray | None) -> None:
    """Raise InputError unless all given arrays share one dtype."""
    dtypes = {name: array.dtype for name, array in arrays.items() if array is not None}
    if len(set(dtypes.values())) > 1:
        came = ", ".join(f"{name} is {dtype}" for name, dtype in dtypes.items())
        raise InputError(f"{came}; expected one dtype, convert with .astype")


def require_shape(name: str, array: FloatArray, shape: tuple[int, ...]) -> None:
    """Raise InputError unless `array.shape` equals `shape`."""
    if array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}, expected {shape}")


def require_finite(name: str, array: FloatArray) -> None:
    """Raise InputError when `array` contains NaN or an infinity.

    One sum answers for the whole array, because NaN and infinities survive addition.
    """
    if not np.isfinite(array.sum()):
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        if bad:
            raise InputError(
                f"{name} contains {bad} values that are NaN or infinite, expected finite numbers; "
                "look for a division by zero in the data or a learning rate that is too large"
            )


def require_labels(labels: IntArray, count: int, classes: int) -> None:
    """Raise InputError unless `labels` is (count,) integers in 0 .. classes - 1."""
    shape = np.shape(labels)
    if shape != (count,):
        advice = "; turn one-hot rows into integers with .argmax(axis=1)" if len(shape) == 2 else ""
        raise InputError(
            f"labels have shape {shape}, expected ({count},): one integer for each row{advice}"
        )
    if not isinstance(labels, np.ndarray) or not np.issubdtype(labels.dtype, np.integer):
        came = labels.dtype if isinstance(labels, np.ndarray) else type(labels).__name__
        raise InputError(f"labels are {came}, expected an integer array of shape ({count},)")
    if count and (labels.min() < 0 or labels.max() >= classes):
        raise InputError(
            f"labels run from {labels.min()} to {labels.max()}, expected 0 to {classes - 1}, "
            f"because the logits have {classes} columns"
        )


def float_dtype(dtype: DTypeLike) -> np.dtype[np.floating[Any]]:
    """Return `dtype` as float32 or float64, or raise InputError."""
    for allowed in FLOATS:
        if np.dtype(dtype) == allowed:
            return allowed
    raise InputError(f"dtype is {np.dtype(dtype)}, expected float32 or float64")


class _Workspace(threading.local):
    """Large arrays kept from one call to the next, by name; each thread has its own.

    The system hands out fresh memory page by page as it is first touched, which can cost more than
    filling it; a training step that asked for its column matrices anew was clearly slower.
    The next call overwrites what is in here, so nothing of it may be returned to a user.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, np.dtype[Any]], FloatArray] = {}

    def empty(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> FloatArray:
        """Return an array with arbitrary contents: that of the last call, if it is large enough."""
        size, key = math.prod(shape), (name, np.dtype(dtype))
        array = self._arrays.get(key)
        if array is None or array.size < size:
            array = self._arrays[key] = np.empty(size, dtype)
        return array[:size].reshape(shape)


WORKSPACE = _Workspace()
