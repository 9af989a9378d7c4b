"""Draw the course's picture, `book/_static/overview.png`: digits, their edges, a network's answer.

    python tools/draw_overview.py

Four test digits of classes chosen for their shapes, each the first of its class; two hand-made
kernels; LeNet-5 after two epochs of training. Takes about half a minute.
"""

from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("agg")

import matplotlib.pyplot as plt

from mnist_course import build
from mnist_course.data import load_mnist, scale
from mnist_course.plotting import use_style
from mnist_course.pytorch.training import fit, predict_logits
from mnist_course.scratch import conv2d, softmax

PICTURE = Path(__file__).resolve().parent.parent / "book" / "_static" / "overview.png"
CLASSES = (7, 2, 0, 4)
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)


def edges(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the gradient's magnitude, (N, 28, 28), from two 3 x 3 kernels."""
    kernels = np.stack([SOBEL, SOBEL.T], axis=-1)[:, :, None, :]  # (3, 3, 1, 2)
    responses = conv2d(scale(images)[..., None], kernels, padding=1)  # (N, 28, 28, 2)
    return np.hypot(responses[..., 0], responses[..., 1])


def main() -> None:
    """Train the network and write the picture."""
    test = load_mnist("test")
    images = test.images[[int(np.flatnonzero(test.labels == label)[0]) for label in CLASSES]]
    model = build("lenet5", "pytorch", seed=0)
    fit(model, load_mnist("train"), epochs=2, seed=0)
    probabilities = softmax(predict_logits(model, images))

    use_style()
    # The rows' places are given by hand: constrained layout would leave room for the arrows.
    figure, axes = plt.subplots(
        3, len(CLASSES), figsize=(6.4, 4.6), height_ratios=[3, 3, 2], layout="none"
    )
    figure.subplots_adjust(left=0.21, right=0.99, top=0.99, bottom=0.07, hspace=0.1, wspace=0.08)
    for column, (image, edge, row) in enumerate(zip(images, edges(images), probabilities, strict=True)):
        axes[0, column].imshow(image, cmap="gray_r")
        axes[1, column].imshow(edge, cmap="gray_r")
        bars = axes[2, column]
        bars.bar(range(10), row, color="#0072B2")
        bars.set(ylim=(0, 1), yticks=[], xticks=range(10))
    for ax in axes[:2].flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    texts = ("pixels\n28 × 28 bytes", "edges\n3 × 3 kernels", "probabilities\nLeNet-5")
    for ax, text in zip(axes[:, 0], texts, strict=True):
        ax.set_ylabel(text, rotation=0, ha="right", va="center", labelpad=8)
    figure.savefig(PICTURE, dpi=180, bbox_inches=None, metadata={"Software": None})


if __name__ == "__main__":
    main()
