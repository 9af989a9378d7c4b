"""What an exercise's functions are called on: drawn from a seed, so that nobody can know it before."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from mnist_course.data import ImageDataset, load
from mnist_course.errors import InputError

PUBLIC_SEED = 0
"""The seed of notebooks, of the self-check and of CI. Grades are given under a fresh one."""

PUBLIC_TAIL = 5_000
"""Under the public seed, unseen images come from the training archive: from its last fifth, or from this
many last images where a fifth is more (55,000 of MNIST's stay for training)."""

UNSEEN = ("mnist", "fashion")
"""Not the optical digits: their labels lie in scikit-learn, which a submission may import."""

BRIGHTNESS = (0.8, 1.0)


def seed_inside(seed: int) -> int:
    """Return the seed that a kernel gets: it draws the probes' inputs, and no unseen images.

    With the run's own seed a submission could compute which images of the public test archive were
    drawn, and bring their labels along. The public seed stays as it is.
    """
    if seed == PUBLIC_SEED:
        return seed
    return int.from_bytes(hashlib.sha256(f"inside {seed}".encode()).digest()[:16], "big")


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the random generator of the probe `name` under `seed` (any non-negative integer)."""
    words = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")
    return np.random.default_rng([seed, words])


def draw_unseen(seed: int, data: str, count: int) -> ImageDataset:
    """Draw `count` images whose labels the graded notebook must not know.

    Under the public seed they come from the end of the training archive: a student may look at them as
    often as they like. Under any other seed they come from the test archive, which the sandbox hides,
    shifted by up to one pixel and dimmed by up to a fifth: no image of the archive is among them.

    Parameters
    ----------
    seed
        The seed of the run.
    data
        ``"mnist"`` or ``"fashion"``.
    count
        How many images.

    Raises
    ------
    InputError
        Another data set.
    """
    if data not in UNSEEN:
        raise InputError(f"unseen images cannot come from {data!r}; choose one of {', '.join(UNSEEN)}")
    rng = generator(seed, f"unseen/{data}")
    public = seed == PUBLIC_SEED
    archive = load(data, "train" if public else "test")
    first = len(archive) - min(PUBLIC_TAIL, len(archive) // 5) if public else 0
    chosen = archive.subset(first + rng.permutation(len(archive) - first)[:count])
    if public:
        return chosen
    images = [_moved(image, rng) for image in chosen.images]
    return ImageDataset(np.stack(images), chosen.labels, chosen.class_names)


def _moved(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    rows, columns = rng.integers(-1, 2, size=2)
    height, width = image.shape
    padded = np.pad(image, 1)[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
    moved: NDArray[np.uint8] = np.rint(padded * rng.uniform(*BRIGHTNESS)).astype(np.uint8)
    return moved
