"""MNIST out: the embedded images in the layouts that other software reads."""

import os
from pathlib import Path

import numpy as np

from mnist_course.data.idx import write_idx
from mnist_course.data.loading import PREFIXES, load_mnist
from mnist_course.errors import InputError
from mnist_course.files import atomic_write

FORMATS = ("idx", "npz", "torchvision")


def export_mnist(folder: str | os.PathLike[str], layout: str) -> list[Path]:
    """Write MNIST, as `load_mnist` gives it, into `folder`.

    Parameters
    ----------
    folder
        Created when missing.
    layout
        ``"idx"``: the four IDX files. ``"npz"``: ``mnist.npz`` with ``x_train``, ``y_train``, ``x_test``
        and ``y_test``, as `keras.datasets.mnist` stores it. ``"torchvision"``: the IDX files where
        ``torchvision.datasets.MNIST(folder, download=False)`` looks for them.

    Returns
    -------
    list of Path
        The files written. Each is complete or absent, whatever happens.

    Raises
    ------
    InputError
        The layout is unknown, or `folder` is a file.
    OSError
        The disk is full or not writable.
    """
    if layout not in FORMATS:
        raise InputError(f"unknown format {layout!r}; choose one of {', '.join(FORMATS)}")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder to write into")
    if layout == "npz":
        return [_write_npz(folder / "mnist.npz")]
    if layout == "torchvision":
        folder = folder / "MNIST" / "raw"
    written = []
    for split, prefix in PREFIXES.items():
        dataset = load_mnist(split)
        for kind, array in (("images-idx3", dataset.images), ("labels-idx1", dataset.labels)):
            written.append(folder / f"{prefix}-{kind}-ubyte")
            write_idx(written[-1], array)
    return written


def _write_npz(path: Path) -> Path:
    train, test = load_mnist("train"), load_mnist("test")
    with atomic_write(path) as temporary:
        np.savez_compressed(
            temporary,
            x_train=train.images,
            y_train=train.labels,
            x_test=test.images,
            y_test=test.labels,
        )
    return path
