"""From stored bytes to what a network takes: scaled pixels, in an order fixed by seed and epoch."""

import numpy as np
from numpy.typing import NDArray


def scale(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Map pixel bytes 0…255 to float32 in [0, 1], the input of every network of the course.

    >>> scale(np.array([[0, 255]], np.uint8))
    array([[0., 1.]], dtype=float32)
    """
    return np.multiply(images, np.float32(1 / 255), dtype=np.float32)


def epoch_order(count: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which an epoch visits `count` examples: a permutation, shape (count,).

    It depends on nothing but `seed` and `epoch` (counted from 0). So the three wings see the same
    batches, and a resumed run continues with the batches that an uninterrupted run would have seen.
    """
    return np.random.default_rng([seed, epoch]).permutation(count)
