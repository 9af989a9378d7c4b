"""Figures with one number per class, or per pair of classes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation
from mnist_course.plotting.style import HATCHES, MARKERS, given_or_new


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
    ax = given_or_new(ax)
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


def class_scores(result: Evaluation, ax: Axes | None = None) -> Axes:
    """Show precision, recall and F1 of every class as three marks on one line.

    Parameters
    ----------
    result
        Whose `per_class` and `macro` are drawn; the dotted line is the macro F1.
    ax
        Where to draw; a new figure by default.
    """
    names = result.class_names
    ax = given_or_new(ax, (7.0, 0.9 + 0.27 * len(names)))
    columns = {name: 100 * values for name, values in result.per_class.items()}
    rows = np.arange(len(names))
    stacked = np.array(list(columns.values()))  # (3, K)
    ax.hlines(rows, stacked.min(axis=0), stacked.max(axis=0), color="#bbbbbb", linewidth=1.2, zorder=1)
    labels = {"precision": "precision", "recall": "recall", "f1": "F1"}
    for index, (name, values) in enumerate(columns.items()):
        fill = "none" if name == "f1" else f"C{index}"
        ax.plot(
            values,
            rows,
            MARKERS[index],
            linestyle="",
            color=f"C{index}",
            label=labels[name],
            markerfacecolor=fill,
        )
    ax.axvline(100 * result.macro["f1"], color="#444444", linewidth=1, linestyle=":", label="macro F1")
    ax.set(yticks=rows, yticklabels=names, xlabel="per cent", ylabel="class")
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="x")
    ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


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
    ax = given_or_new(ax, (5.6, 5.0))
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
