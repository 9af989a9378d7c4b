"""What all figures share: the style, and the marks that stand in for colours on grey paper."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

HATCHES = ("", "///", "...", "xxx")
MARKERS = ("o", "s", "^", "D", "v", "P")


def use_style() -> None:
    """Make the course's style matplotlib's default for this process."""
    plt.style.use("mnist_course.course")


def given_or_new(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    """Return `ax`, or the Axes of a new figure of `size` inches."""
    return plt.subplots(figsize=size)[1] if ax is None else ax
