"""Figures of images: a grid of them, those a network got wrong, and one quantity per pixel."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation
from mnist_course.plotting.style import given_or_new

NAN_COLOUR = "#d55e00"
"""Missing pixels: a colour that no grey map contains."""


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


def error_gallery(
    images: ArrayLike,
    result: Evaluation,
    count: int = 20,
    *,
    columns: int = 10,
    axes: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Show the most confident mistakes; the title is true class → predicted class and confidence.

    Parameters
    ----------
    images
        Shape (N, H, W): those that were evaluated, in the same order.
    result
        Their evaluation.
    count
        Show at most so many.
    columns, axes
        As for `image_grid`.

    Returns
    -------
    ndarray of Axes
        As for `image_grid`.

    Raises
    ------
    InputError
        Not as many images as were evaluated, or no mistake among them.
    """
    stack = np.asarray(images)
    if len(stack) != len(result.labels):
        raise InputError(
            f"{len(stack)} images came with an evaluation of {len(result.labels)};"
            " pass the images that were evaluated"
        )
    wrong = result.confident_errors(count)
    if not len(wrong):
        raise InputError("no image was classified wrong; there is no mistake to show")
    names = result.class_names
    titles = [
        f"{names[result.labels[i]]} → {names[result.predictions[i]]}\n{percent(result.confidence[i])}"
        for i in wrong
    ]
    if axes is None:
        columns = min(columns, len(wrong))
        rows = -(-len(wrong) // columns)
        axes = plt.subplots(rows, columns, figsize=(0.78 * columns, 1.2 * rows), squeeze=False)[1]
    return image_grid(stack[wrong], titles, columns=columns, axes=axes)


def percent(probability: float) -> str:
    """Write a probability in per cent without rounding anything up to certainty."""
    return f"{min(np.floor(1000 * probability) / 10, 99.9):.1f} %"


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
    ax = given_or_new(ax, (3.4, 2.8))
    image = ax.imshow(np.asarray(values), **options)
    ax.set(xticks=(), yticks=())
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.85)
    return ax
