"""The one container that everything downstream takes: images with their labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnist_course.data.batches import require_bytes
from mnist_course.errors import InputError

DIGITS = tuple("0123456789")


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset:
    """Grey images with one label each; neither can be changed in place.

    Parameters
    ----------
    images
        uint8, shape (N, 28, 28); 0 is background, 255 is ink.
    labels
        uint8, shape (N,); indices into `class_names`.
    class_names
        One name per class.

    Raises
    ------
    InputError
        Wrong type or shape, different lengths, or a label without a class.

    Examples
    --------
    >>> blank = ImageDataset(np.zeros((2, 28, 28), np.uint8), np.array([3, 5], np.uint8))
    >>> blank
    ImageDataset(2 images of 28×28, 10 classes)
    >>> blank.subset([1]).labels
    array([5], dtype=uint8)
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    class_names: tuple[str, ...] = DIGITS

    def __post_init__(self) -> None:
        images, labels = np.asarray(self.images), np.asarray(self.labels)
        require_bytes(images)
        if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
            advice = ""
            if labels.ndim == 2:
                advice = "; labels.argmax(axis=1).astype(np.uint8) turns one-hot rows into integers"
            elif np.issubdtype(labels.dtype, np.integer) and labels.dtype != np.uint8:
                advice = "; convert them with labels.astype(np.uint8)"
            raise InputError(
                f"labels are {labels.dtype} of shape {labels.shape};"
                f" expected uint8 of shape ({len(images)},), one per image{advice}"
            )
        if len(labels) and labels.max() >= len(self.class_names):
            raise InputError(
                f"label {labels.max()} has no class; {len(self.class_names)} class names were given"
            )
        for name, array in (("images", images), ("labels", labels)):
            frozen = array.view()
            frozen.flags.writeable = False
            object.__setattr__(self, name, frozen)
        object.__setattr__(self, "class_names", tuple(self.class_names))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"ImageDataset({len(self)} images of 28×28, {len(self.class_names)} classes)"

    def subset(self, indices: ArrayLike) -> "ImageDataset":
        """Return the images at `indices` (integers or a boolean mask), in that order."""
        chosen = np.asarray(indices)
        if chosen.size == 0:
            chosen = chosen.astype(np.intp)
        return ImageDataset(self.images[chosen], self.labels[chosen], self.class_names)

    def renumbered(self, class_names: tuple[str, ...]) -> "ImageDataset":
        """Return the same images with labels that are indices into other class names.

        Raises
        ------
        InputError
            One of this data set's classes is not among them.

        Examples
        --------
        >>> pair = ImageDataset(np.zeros((2, 28, 28), np.uint8), np.array([0, 1], np.uint8), ("7", "4"))
        >>> pair.renumbered(DIGITS).labels
        array([7, 4], dtype=uint8)
        """
        foreign = [name for name in self.class_names if name not in class_names]
        if foreign:
            raise InputError(
                f"the classes do not match: {', '.join(foreign)} of the data"
                f" {'is' if len(foreign) == 1 else 'are'} not among {', '.join(class_names)}"
            )
        numbers = np.array([class_names.index(name) for name in self.class_names], np.uint8)
        return ImageDataset(self.images, numbers[self.labels], class_names)

    def joined(self, other: "ImageDataset") -> "ImageDataset":
        """Return this data set's images with those of `other` behind them.

        Raises
        ------
        InputError
            The classes are not the same.
        """
        if other.class_names != self.class_names:
            raise InputError(
                f"the classes do not match: {', '.join(other.class_names)} are not"
                f" {', '.join(self.class_names)}"
            )
        images, labels = (self.images, other.images), (self.labels, other.labels)
        return ImageDataset(np.concatenate(images), np.concatenate(labels), self.class_names)

    def counts(self) -> NDArray[np.int64]:
        """Count the images of each class; shape (number of classes,)."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def split(self, fraction: float, *, seed: int) -> tuple["ImageDataset", "ImageDataset"]:
        """Split in two at random with the same share of every class on both sides.

        Parameters
        ----------
        fraction
            Share of the images that go to the first part, between 0 and 1.
        seed
            The same seed gives the same split.

        Returns
        -------
        first, second
            Disjoint parts that together hold every image, each in the order of this data set.

        Raises
        ------
        InputError
            `fraction` is not strictly between 0 and 1.

        Notes
        -----
        Class c gives ``floor(fraction · n_c)`` images to the first part; the images still missing to
        ``round(fraction · N)`` come from the classes with the largest remainders.
        """
        if not 0 < fraction < 1:
            raise InputError(f"fraction is {fraction}; expected a number between 0 and 1")
        wanted = fraction * self.counts()
        taken = np.floor(wanted).astype(int)
        missing = round(fraction * len(self)) - taken.sum()
        taken[np.argsort(taken - wanted, kind="stable")[:missing]] += 1

        rng = np.random.default_rng(seed)
        in_first = np.zeros(len(self), bool)
        for label, count in enumerate(taken):
            members = np.flatnonzero(self.labels == label)
            in_first[rng.permutation(members)[:count]] = True
        return self.subset(in_first), self.subset(~in_first)
