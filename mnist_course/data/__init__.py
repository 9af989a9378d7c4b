"""Images in: MNIST, a part of Fashion-MNIST, optical digits, IDX files, and folders of pictures."""

from mnist_course.data.batches import epoch_order, scale
from mnist_course.data.dataset import ImageDataset
from mnist_course.data.folders import load_folder
from mnist_course.data.idx import read_idx, write_idx
from mnist_course.data.loading import (
    DATASETS,
    load,
    load_fashion_mnist,
    load_mnist,
    load_optdigits,
)

__all__ = [
    "DATASETS",
    "ImageDataset",
    "epoch_order",
    "load",
    "load_fashion_mnist",
    "load_folder",
    "load_mnist",
    "load_optdigits",
    "read_idx",
    "scale",
    "write_idx",
]
