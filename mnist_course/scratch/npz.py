"""Named arrays in a file: .npz without pickles, checked before anything is changed."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from mnist_course.errors import InputError
from mnist_course.scratch.arrays import FLOATS, FloatArray


def write(path: str | os.PathLike[str], arrays: Mapping[str, FloatArray]) -> None:
    """Write arrays, under their names, to exactly `path`; see `files.atomic_write` for safety."""
    with open(path, "wb") as file:  # noqa: PTH123 (np.savez would append .npz to a mere name)
        np.savez(file, allow_pickle=False, **arrays)


def read(path: str | os.PathLike[str]) -> dict[str, FloatArray]:
    """Return the arrays of `path` by name.

    Raises
    ------
    InputError
        When there is no such file, or it is truncated, damaged, or holds pickled objects:
        those are never loaded, because loading them runs code.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected an .npz file of weights") from None
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"{path} is not a complete .npz file of plain arrays ({reason}); train and save again"
        ) from None


def assign(
    target: Mapping[str, FloatArray],
    arrays: Mapping[str, FloatArray],
    path: str | os.PathLike[str],
    owner: str,
) -> None:
    """Copy `arrays` into the arrays of `target`, all of them or, with InputError, none.

    Raises
    ------
    InputError
        When names, shapes or dtypes differ, or a value is NaN or infinite.
    """
    for name in [*target, *arrays]:
        came = arrays[name].shape if name in arrays else "none"
        expected = target[name].shape if name in target else "none"
        if came != expected:
            raise InputError(
                f"{path} does not fit {owner}: {name} has shape {came}, expected {expected}; "
                "build the network that the file was saved from"
            )
        if arrays[name].dtype not in FLOATS or not np.isfinite(arrays[name]).all():
            raise InputError(
                f"{path}: {name} holds {arrays[name].dtype} values, expected finite float32 or "
                "float64 numbers; train and save again"
            )
    for name, array in arrays.items():
        target[name][...] = array
