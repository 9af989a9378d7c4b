"""The first cell of a graded run: it gives the kernel the seed and the unseen images."""

import base64

import numpy as np
from numpy.typing import NDArray


def opening_source(seed: int, unseen: NDArray[np.uint8] | None) -> str:
    """Return the code that a graded kernel runs before anything else.

    Parameters
    ----------
    seed
        The seed of the run.
    unseen
        uint8 images of shape (N, H, W), or None.
    """
    images, shape = None, ()
    if unseen is not None:
        images, shape = base64.b64encode(np.ascontiguousarray(unseen).tobytes()).decode(), unseen.shape
    return (
        "from mnist_course.grading.publishing import begin_grading\n"
        f"begin_grading({seed}, {images!r}, {shape!r})\n"
        "del begin_grading"
    )
