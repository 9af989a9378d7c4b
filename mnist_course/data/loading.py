"""The three data sets of the course, all of them offline.

MNIST and the Fashion-MNIST subset are xz-compressed IDX files in `archives/`, beside their licences.
The optical digits come with scikit-learn.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_course.data.dataset import ImageDataset
from mnist_course.data.idx import read_idx, require_checksum
from mnist_course.errors import InputError

ARCHIVES = Path(__file__).parent / "archives"
DATASETS = ("mnist", "fashion", "optdigits")

# fmt: off
# ruff: noqa: E501
SHA256 = {
    "mnist/train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "mnist/train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "mnist/t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "mnist/t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    "fashion-mnist/train-images-idx3-ubyte": "cf313073c7eb485392848071d5c433571d7166043e971e3345b095cc30518084",
    "fashion-mnist/train-labels-idx1-ubyte": "097b93fbcf9bd5bc648b1a457ddc55c9e4ab49afb33f9ecae8ce068399a75e3a",
    "fashion-mnist/t10k-images-idx3-ubyte": "15a92dd1e9b16ea361928086e77df4dfa890c255c00b5a8c8162c1040ce8eef1",
    "fashion-mnist/t10k-labels-idx1-ubyte": "234596aeb6eb48133ec99a62541f90bc0728c9559a681f1e0638037462458f2c",
}
# fmt: on
"""Checksums of the uncompressed IDX files; MNIST's are the canonical ones."""

FASHION_CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
PREFIXES = {"train": "train", "test": "t10k"}
OPTDIGITS_TRAIN = 1197
CANONICAL_COUNTS = {"train": 60_000, "test": 10_000}


def _prefix(split: str) -> str:
    if split not in PREFIXES:
        raise InputError(f"unknown split {split!r}; choose 'train' or 'test'")
    return PREFIXES[split]


def load(name: str, split: str) -> ImageDataset:
    """Load a data set by name: ``"mnist"``, ``"fashion"`` or ``"optdigits"``; split train or test."""
    loaders: dict[str, Callable[[str], ImageDataset]] = {
        "mnist": load_mnist,
        "fashion": load_fashion_mnist,
        "optdigits": load_optdigits,
    }
    if name not in loaders:
        raise InputError(f"unknown data set {name!r}; choose one of {', '.join(DATASETS)}")
    return loaders[name](split)


def load_mnist(split: str) -> ImageDataset:
    """Load MNIST: 60,000 training or 10,000 test images of handwritten digits.

    The data are embedded in the package and verified by SHA-256. When the environment variable
    ``MNIST_COURSE_DATA`` names a folder, its four IDX files (plain or ``.gz``) are read instead. Files
    with MNIST's number of images must be MNIST, by checksum, unless ``MNIST_COURSE_UNVERIFIED=1``.

    Parameters
    ----------
    split
        ``"train"`` or ``"test"``.

    Raises
    ------
    InputError
        Unknown split, or a file that is missing, damaged or something else.

    References
    ----------
    LeCun, Cortes and Burges, The MNIST database of handwritten digits (CC BY-SA 3.0).
    """
    prefix = _prefix(split)
    folder = os.environ.get("MNIST_COURSE_DATA")
    if not folder:
        return _load_archive("mnist", prefix)
    return _load_folder(folder, split, os.environ.get("MNIST_COURSE_UNVERIFIED") == "1")


def load_fashion_mnist(split: str) -> ImageDataset:
    """Load a class-balanced part of Fashion-MNIST: 6,000 training or 2,000 test images.

    The rule: the first 600 (train) or 200 (test) images of every class, in the order of the original
    files.

    References
    ----------
    Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747 (MIT licence).
    """
    return _load_archive("fashion-mnist", _prefix(split), FASHION_CLASSES)


@cache
def _load_archive(
    name: str, prefix: str, class_names: tuple[str, ...] = tuple("0123456789")
) -> ImageDataset:
    def read(kind: str) -> NDArray[np.uint8]:
        file = f"{name}/{prefix}-{kind}-ubyte"
        return read_idx(ARCHIVES / f"{file}.xz", sha256=SHA256[file])

    return ImageDataset(read("images-idx3"), read("labels-idx1"), class_names)


@cache
def _load_folder(folder: str, split: str, unverified: bool) -> ImageDataset:
    prefix = PREFIXES[split]
    arrays = {}
    for kind, ndim in (("images-idx3", 3), ("labels-idx1", 1)):
        name = f"{prefix}-{kind}-ubyte"
        candidates = [Path(folder, name), Path(folder, f"{name}.gz")]
        path = next((p for p in candidates if p.is_file()), None)
        if path is None:
            raise InputError(
                f"MNIST_COURSE_DATA={folder} holds no {name} or {name}.gz;"
                " name the folder with the four IDX files, or unset it to use the embedded ones"
            )
        array = read_idx(path)
        if array.dtype != np.uint8 or array.ndim != ndim:
            raise InputError(
                f"{path} holds {array.dtype} of shape {array.shape}; expected {kind.split('-')[0]}:"
                f" uint8 with {ndim} dimension{'s' if ndim > 1 else ''}"
                " (are images and labels swapped?)"
            )
        if len(array) == CANONICAL_COUNTS[split] and not unverified:
            try:
                require_checksum(array, SHA256[f"mnist/{name}"], path)
            except InputError as error:
                raise InputError(
                    f"{error}, or set MNIST_COURSE_UNVERIFIED=1 if it is meant to differ"
                ) from None
        arrays[kind] = array
    return ImageDataset(arrays["images-idx3"], arrays["labels-idx1"])


@cache
def load_optdigits(split: str) -> ImageDataset:
    """Load the UCI optical digits, brought to 28×28: 1,197 training or 600 test images.

    Other people, another scanner, the same ten labels. scikit-learn ships the 1,797 images of UCI's
    test part, written by 13 people. The file does not name the writers, but neighbours in it are
    alike, so the split is by position (the last 600 are the test set): a random one would put the
    same hand on both sides.

    The rule from 8×8 to 28×28 follows MNIST's: the counts 0…16 are scaled to 0…255, the image is
    enlarged to 20×20 (bilinear, pixel centres aligned) and placed on a black 28×28 canvas so that its
    centre of mass is at the centre.

    References
    ----------
    Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (CC BY 4.0).
    """
    _prefix(split)
    from sklearn.datasets import load_digits

    digits = load_digits()
    part = slice(None, OPTDIGITS_TRAIN) if split == "train" else slice(OPTDIGITS_TRAIN, None)
    images = np.stack([_centre(_enlarge(image)) for image in digits.images[part]])
    return ImageDataset(images, digits.target[part].astype(np.uint8))


def _enlarge(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Resize 8×8 counts (0…16) to 20×20 grey values (0…255), bilinearly."""
    positions = np.clip((np.arange(20) + 0.5) * 8 / 20 - 0.5, 0, 7)
    low = np.minimum(positions.astype(int), 6)
    weight = positions - low
    # one matrix interpolates rows, its transpose columns: W @ image @ W.T
    matrix = np.zeros((20, 8))
    matrix[np.arange(20), low] = 1 - weight
    matrix[np.arange(20), low + 1] += weight
    return matrix @ image @ matrix.T * (255 / 16)


def _centre(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Place a 20×20 image on a 28×28 canvas, its centre of mass at the centre (13.5, 13.5)."""
    mass = max(image.sum(), 1e-9)
    rows, columns = image.sum(1) @ np.arange(20) / mass, image.sum(0) @ np.arange(20) / mass
    top, left = (int(np.clip(round(13.5 - centre), 0, 8)) for centre in (rows, columns))
    canvas = np.zeros((28, 28), np.uint8)
    canvas[top : top + 20, left : left + 20] = np.round(image)
    return canvas
