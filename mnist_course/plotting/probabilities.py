"""Figures of stated probabilities against what happened."""

import numpy as np
from matplotlib.axes import Axes

from mnist_course.calibration import Calibration
from mnist_course.plotting.style import given_or_new


def reliability_diagram(result: Calibration, ax: Axes | None = None) -> Axes:
    """Draw the accuracy of each bin of confidence, and its gap to the diagonal.

    On the diagonal, stated probability and frequency agree; bars below it are overconfident. The
    numbers of predictions stand above the bars, the expected calibration error in the title.

    Parameters
    ----------
    result
        From `Evaluation.calibration`.
    ax
        Where to draw; a new figure by default.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, 2017.
    """
    ax = given_or_new(ax, (4.2, 3.9))
    filled = result.counts > 0
    left, width = result.edges[:-1][filled], np.diff(result.edges)[filled]
    accuracy, confidence = result.accuracy[filled], result.confidence[filled]
    ax.bar(left, accuracy, width, align="edge", color="C0", edgecolor="white", label="accuracy")
    ax.bar(
        left, confidence - accuracy, width, bottom=accuracy, align="edge", color="none",
        edgecolor="#444444", linewidth=0.5, hatch="////", alpha=0.7, label="gap",
    )  # fmt: skip
    ax.plot([0, 1], [0, 1], color="#333333", linewidth=1, linestyle="--", label="perfect")
    for x, top, count in zip(
        left + width / 2, np.maximum(accuracy, confidence), result.counts[filled], strict=True
    ):
        ax.annotate(
            f"{count:,}", (x, top), (0, 2), textcoords="offset points", rotation=90, ha="center",
            va="bottom", fontsize=8,
        )  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, 1.16), xlabel="confidence", ylabel="share of right predictions")
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.set_title(f"expected calibration error {100 * result.error:.1f} %")
    # below, because a bin with two answers may reach to the top anywhere
    ax.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.17), handlelength=1.5)
    return ax
