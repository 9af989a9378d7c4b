"""Draw what stands for the book's explorables where no script runs: `book/_static/explore/*.svg`.

python tools/draw_explorables.py
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mnist_course.data import load_mnist, scale
from mnist_course.files import atomic_write
from mnist_course.plotting import use_style
from mnist_course.scratch import conv2d, max_pool2d, softmax

FOLDER = Path(__file__).resolve().parent.parent / "book" / "_static" / "explore"
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)[..., None, None]  # (3, 3, 1, 1)


def digit(label: int) -> np.ndarray:
    """Return the first test digit of a class, (1, 28, 28, 1), as the explorables show it."""
    test = load_mnist("test")
    return scale(test.images[[int(np.flatnonzero(test.labels == label)[0])]])[..., None]


def convolution() -> Figure:
    """Show one kernel on a seven, with five ways to move it."""
    settings = ({}, {"stride": 2}, {"padding": 4}, {"dilation": 4}, {"stride": 3, "padding": 1})
    figure, axes = plt.subplots(1, 6, figsize=(7.4, 1.7))
    axes[0].imshow(digit(7)[0, ..., 0], cmap="gray_r")
    axes[0].set_title("image\n28 × 28", loc="center", fontsize=8)
    for ax, options in zip(axes[1:], settings, strict=True):
        output = conv2d(digit(7), SOBEL, **options)[0, ..., 0]
        most = np.abs(output).max()
        ax.imshow(output, cmap="gray_r", vmin=-most, vmax=most)
        text = ", ".join(f"{name} {value}" for name, value in options.items()) or "stride 1"
        size = " × ".join(map(str, output.shape))
        ax.set_title(f"{text}\n{size}", loc="center", fontsize=8)
    for ax in axes:
        ax.set(xticks=(), yticks=())
    return figure


def pooling() -> Figure:
    """Show a four that moves, and its pooled maps."""
    figure, axes = plt.subplots(2, 4, figsize=(5.6, 3.1))
    four = digit(4)
    for shift, (top, bottom) in enumerate(axes.T):
        moved = np.zeros_like(four)
        moved[:, :, shift:] = four[:, :, : 28 - shift]
        for ax, view in ((top, lambda image: image), (bottom, lambda image: max_pool2d(image, 2))):
            before, after = view(four), view(moved)
            change = np.linalg.norm(after - before) / np.linalg.norm(before)
            ax.imshow(after[0, ..., 0], cmap="gray_r")
            title = f"moved by {shift}" if ax is top else ""
            ax.set_title(f"{title}\nchange {change:.2f}".strip(), loc="center", fontsize=8)
            ax.set(xticks=(), yticks=())
    axes[0, 0].set_ylabel("pixels")
    axes[1, 0].set_ylabel("max 2/2")
    return figure


def softmax_bars() -> Figure:
    """Show four logits at three temperatures."""
    figure, axes = plt.subplots(1, 3, figsize=(7, 2), sharey=True)
    for ax, temperature in zip(axes, (0.3, 1, 5), strict=True):
        shares = softmax(np.array([[3, 1.5, 2.5, 0.5]]) / temperature)[0]
        bars = ax.bar(["3", "5", "8", "9"], shares, color="#0072b2")
        ax.bar_label(bars, fmt="%.2f", fontsize=8)
        ax.set(ylim=(0, 1.1), title=f"temperature {temperature}")
    axes[0].set_ylabel("probability")
    return figure


def cross_entropy() -> Figure:
    """Show minus the logarithm."""
    figure, ax = plt.subplots(figsize=(5.6, 2.6))
    p = np.linspace(0.001, 1, 1000)
    ax.plot(p, -np.log(p))
    for at in (0.01, 0.1, 0.5, 0.9):
        ax.plot(at, -np.log(at), "o", color="#d55e00")
        ax.annotate(f"p = {at}: {-np.log(at):.2f}", (at + 0.02, -np.log(at) + 0.12), fontsize=9)
    ax.set(xlabel="probability of the truth", ylabel="loss in nats", ylim=(0, 7))
    return figure


def learning_rate() -> Figure:
    """Show the loss on the bowl after thirty steps, for every rate."""
    figure, ax = plt.subplots(figsize=(5.6, 2.6))
    curvature, start = np.array([1.0, 20.0]), np.array([-4.0, 1.0])
    rates = np.logspace(-3, np.log10(0.2), 400)[:, None]
    ends = (1 - rates * curvature) ** 30 * start
    ax.loglog(rates, 0.5 * (curvature * ends**2).sum(axis=1))
    ax.axvline(2 / curvature.max(), linestyle="--", color="#444444")
    ax.annotate("limit 2 / 20", (0.097, 1e3), ha="right")
    ax.set(xlabel="learning rate", ylabel="loss after 30 steps", ylim=(1e-2, 1e4))
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "convolution": convolution,
    "pooling": pooling,
    "softmax": softmax_bars,
    "cross_entropy": cross_entropy,
    "learning_rate": learning_rate,
}


def main() -> None:
    """Write every picture; the same bytes each time."""
    use_style()
    plt.rcParams["svg.hashsalt"] = "explore"
    plt.rcParams["svg.fonttype"] = "none"  # text as text: a third of the bytes
    plt.rcParams["image.interpolation"] = "none"
    for name, draw in PICTURES.items():
        with atomic_write(FOLDER / f"{name}.svg") as temporary:
            draw().savefig(temporary, format="svg", metadata={"Date": None}, bbox_inches="tight")


if __name__ == "__main__":
    main()
