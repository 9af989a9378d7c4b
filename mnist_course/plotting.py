"""Every figure of the course: functions that take and return matplotlib Axes; none calls ``show``.

All of them read in grey: line styles, markers, hatches and numbers carry what colours carry. Call
`use_style` once; `course.mplstyle`, beside this file, holds fonts, colours and the light background.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from mnist_course.errors import InputError
from mnist_course.history import History

HATCHES = ("", "///", "...", "xxx")
MARKERS = ("o", "s", "^", "D", "v", "P")
NAN_COLOUR = "#d55e00"
"""Missing pixels: a colour that no grey map contains."""


def use_style() -> None:
    """Make the course's style matplotlib's default for this process."""
    plt.style.use("mnist_course.course")


def _one(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    return plt.subplots(figsize=size)[1] if ax is None else ax


def image_grid(
    images: ArrayLike,
    titles: Sequence[object] | None = None,
    *,
    columns: int = 10,
    axes: NDArray[Any] | None = None,
    limits: tuple[float, float] | None = None,
) -> NDArray[Any]:
    """Show grey images in rows of `columns`; ink is dark, missing pixels (NaN) are orange.

    Parameters
    ----------
    images
        Shape (N, H, W), or (H, W) for one.
    titles
        One per image; anything that ``str`` takes.
    columns
        Images in a row.
    axes
        Axes to draw in, at least N of them; new ones by default. Those left over are hidden.
    limits
        Values drawn as white and as black. The default is 0 and 255 for bytes, 0 and 1 for fractions
        between them, else the least and the greatest value.

    Returns
    -------
    ndarray of Axes
        Shape (rows, columns), or `axes` as it came.

    Raises
    ------
    InputError
        No image, another number of dimensions, or not as many titles or Axes as images.
    """
    stack = np.asarray(images)
    stack = stack[None] if stack.ndim == 2 else stack
    if stack.ndim != 3 or stack.size == 0:
        raise InputError(f"images have shape {stack.shape}; expected (N, H, W) with N ≥ 1")
    if titles is not None and len(titles) != len(stack):
        raise InputError(f"{len(titles)} titles came for {len(stack)} images; give one each")
    if axes is None:
        columns = min(columns, len(stack))
        rows = -(-len(stack) // columns)
        height = 0.78 * rows + (0.26 * rows if titles is not None else 0)
        axes = plt.subplots(rows, columns, figsize=(0.78 * columns, height), squeeze=False)[1]
    if axes.size < len(stack):
        raise InputError(f"{axes.size} Axes came for {len(stack)} images; give one each")
    low, high = _limits(stack) if limits is None else limits
    cmap = plt.get_cmap("gray_r").with_extremes(bad=NAN_COLOUR)
    for index, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if index < len(stack):
            ax.imshow(stack[index], cmap=cmap, vmin=low, vmax=high)
            if titles is not None:
                ax.set_title(str(titles[index]), fontsize=9, loc="center", pad=2)
    return axes


def _limits(stack: NDArray[Any]) -> tuple[float, float]:
    if stack.dtype == np.uint8:
        return 0, 255
    known = stack[~np.isnan(stack)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return (0, 1) if low >= 0 and high <= 1 else (low, high)


def heatmap(values: ArrayLike, label: str, ax: Axes | None = None, **options: Any) -> Axes:
    """Show one quantity per pixel, with its colour bar.

    Parameters
    ----------
    values
        Shape (H, W).
    label
        What the colour means, with its unit.
    ax
        Where to draw; a new figure by default.
    options
        Passed to ``Axes.imshow``.
    """
    ax = _one(ax, (3.4, 2.8))
    image = ax.imshow(np.asarray(values), **options)
    ax.set(xticks=(), yticks=())
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.85)
    return ax


def class_shares(
    counts: Mapping[str, ArrayLike], class_names: Sequence[str], ax: Axes | None = None
) -> Axes:
    """Compare how often each class occurs in several sets, as bars of per cent.

    Parameters
    ----------
    counts
        Name of a set → its images per class, shape (classes,).
    class_names
        One per class.
    ax
        Where to draw; a new figure by default.
    """
    ax = _one(ax)
    width = 0.8 / len(counts)
    positions = np.arange(len(class_names))
    for index, (name, values) in enumerate(counts.items()):
        share = 100 * np.asarray(values) / np.sum(np.asarray(values))
        offset = (index - (len(counts) - 1) / 2) * width
        ax.bar(
            positions + offset, share, width, label=name, hatch=HATCHES[index % 4],
            edgecolor="white", linewidth=0.5,
        )  # fmt: skip
    ax.axhline(100 / len(class_names), color="#444444", linewidth=1, linestyle=":")
    ax.set(xticks=positions, xticklabels=class_names, xlabel="class", ylabel="share of the images (%)")
    ax.legend(ncols=len(counts), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def seed_dots(results: Mapping[str, ArrayLike], ax: Axes | None = None, *, label: str) -> Axes:
    """Show repeated measurements: a dot for every seed, a bar at their mean, the mean in figures.

    Parameters
    ----------
    results
        Name of a setting → one number per seed; drawn from top to bottom.
    ax
        Where to draw; a new figure by default.
    label
        What was measured, with its unit.
    """
    ax = compared_seed_dots({"": results}, ax, label=label)
    for row, values in enumerate(results.values()):
        ax.annotate(
            f"{np.mean(np.asarray(values)):.1f}", (1, row), xycoords=("axes fraction", "data"),
            xytext=(6, 0), textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    return ax


def compared_seed_dots(
    results: Mapping[str, Mapping[str, ArrayLike]], ax: Axes | None = None, *, label: str
) -> Axes:
    """Show several series of `seed_dots` in one plot, each with its own marker and colour.

    Parameters
    ----------
    results
        Name of a series → name of a setting → one number per seed. Settings run from top to bottom in
        the order of the first series.
    ax
        Where to draw; a new figure by default.
    label
        What was measured, with its unit.
    """
    settings = list(next(iter(results.values())))
    ax = _one(ax, (7.0, 0.9 + 0.3 * len(settings)))
    for index, (name, series) in enumerate(results.items()):
        offset = 0.26 * (index - (len(results) - 1) / 2)
        for setting, values in series.items():
            seeds, row = np.asarray(values, float), settings.index(setting) + offset
            ax.plot(
                seeds, np.full(len(seeds), row), MARKERS[index % len(MARKERS)], color=f"C{index}",
                alpha=0.6, linestyle="", label=name if setting == settings[0] else None,
            )  # fmt: skip
            ax.plot([seeds.mean()] * 2, [row - 0.17, row + 0.17], "-", color="#333333", linewidth=1.6)
    ax.set(yticks=range(len(settings)), yticklabels=settings, xlabel=label)
    ax.set_ylim(len(settings) - 0.4, -0.6)
    ax.grid(axis="both")
    if len(results) > 1:
        ax.legend(ncols=len(results), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def learning_curves(history: History, axes: NDArray[Any] | None = None) -> NDArray[Any]:
    """Draw loss (left) and accuracy (right) against the epoch, training and validation.

    Parameters
    ----------
    history
        At least one epoch. Without validation only the training curves are drawn.
    axes
        Two Axes; new ones by default.

    Returns
    -------
    ndarray of Axes
        Shape (2,): loss, accuracy. ``axes[0].figure`` is the figure to save.

    Raises
    ------
    InputError
        The history holds no epoch.
    """
    if not history.train_loss:
        raise InputError("the history holds no epoch; train for at least one before drawing it")
    pair = plt.subplots(1, 2, figsize=(7.0, 2.8))[1] if axes is None else axes
    curves = (
        ("loss (nats)", history.train_loss, history.validation_loss, 1),
        ("accuracy (%)", history.train_accuracy, history.validation_accuracy, 100),
    )
    for ax, (label, train, validation, factor) in zip(pair, curves, strict=True):
        for name, values, style in (("training", train, "o-"), ("validation", validation, "s--")):
            if values:
                epochs = np.arange(1, len(values) + 1)
                ax.plot(epochs, factor * np.asarray(values), style, label=name, markevery=_every(values))
        ax.set(xlabel="epoch", ylabel=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y")
    pair[0].legend()
    return pair


def _every(values: Sequence[float]) -> int:
    return max(1, len(values) // 15)


def confusion_matrix(matrix: ArrayLike, class_names: Sequence[str], ax: Axes | None = None) -> Axes:
    """Draw counts of (true class, predicted class); the shading grows with the logarithm.

    Parameters
    ----------
    matrix
        Counts, shape (classes, classes); rows are true classes, columns predictions.
    class_names
        One per class.
    ax
        Where to draw; a new figure by default.

    Raises
    ------
    InputError
        `matrix` has another shape.
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(class_names),) * 2:
        raise InputError(
            f"the confusion matrix has shape {counts.shape}; expected {(len(class_names),) * 2},"
            " a row and a column for every class name"
        )
    ax = _one(ax, (5.6, 5.0))
    shade = np.log1p(counts)
    ax.imshow(shade, cmap="Greys", vmin=0, vmax=1.25 * max(float(shade.max()), 1.0))
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shade[row, column] > 0.75 * shade.max() else "#222222"
        weight = "bold" if row == column else "normal"
        if count:
            ax.text(
                column, row, f"{count:d}", ha="center", va="center", color=colour, weight=weight,
                fontsize=9,
            )  # fmt: skip
    rotation = 45 if max(map(len, class_names)) > 2 else 0
    ax.set_xticks(range(len(class_names)), class_names, rotation=rotation)
    ax.set_yticks(range(len(class_names)), class_names)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax
