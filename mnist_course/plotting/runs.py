"""Figures of training runs: one number per epoch, or one per seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from mnist_course.errors import InputError
from mnist_course.history import History
from mnist_course.plotting.style import MARKERS, given_or_new


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
    ax = given_or_new(ax, (7.0, 0.9 + 0.3 * len(settings)))
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
