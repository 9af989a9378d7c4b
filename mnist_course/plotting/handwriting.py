"""The steps from a page of handwriting to 28×28 images, in one figure."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mnist_course.data.handwriting import Page, Piece, Reading
from mnist_course.errors import InputError
from mnist_course.plotting.images import percent

KEPT, LEFT_OUT = "#0072b2", "#d55e00"
_IN_A_ROW = 10


def handwriting_steps(found: Page | Reading, axes: NDArray[Any] | None = None) -> NDArray[Any]:
    """Show a page, its ink in even light, the pieces of ink, and the digits as a network takes them.

    Boxes around possible digits are solid and numbered in reading order, those around what was left out
    are dashed and say why. Below each digit stands what the network says, if a `Reading` is given; what
    is not sure enough to be read has a question mark.

    Parameters
    ----------
    found
        A page's steps, or what a network made of them.
    axes
        Four Axes to draw in; those of a new figure by default.

    Returns
    -------
    ndarray of Axes
        Shape (4,), or `axes` as it came.

    Raises
    ------
    InputError
        Fewer than four Axes.
    """
    page, reading = (found.page, found) if isinstance(found, Reading) else (found, None)
    if axes is None:
        axes = _new_axes(page)
    if axes.size < 4:
        raise InputError(f"{axes.size} Axes came; expected 4, one for each step")
    photograph, light, written, digits = axes.flat[:4]
    photograph.imshow(page.grey, cmap="gray", vmin=0, vmax=255)
    photograph.set_title("the page")
    light.imshow(page.ink, cmap="gray_r", vmin=0, vmax=max(0.1, float(page.ink.max())))
    turned = f", turned by {page.angle:.1f}°" if page.angle else ""
    light.set_title(f"ink in even light{', negative' if page.chalk else ''}{turned}")
    _draw_pieces(page, written)
    _draw_digits(page, reading, digits)
    for ax in axes.flat[:4]:
        ax.set(xticks=(), yticks=())
        ax.spines[:].set_visible(False)
        ax.grid(False)
    return axes


def _new_axes(page: Page) -> NDArray[Any]:
    width = 7.0
    heights = [max(0.8, width * image.shape[0] / image.shape[1]) for image in (page.grey, page.mask)]
    heights = [min(height, 5.0) for height in (heights[0], heights[1], heights[1])]
    heights.append(1.3 * max(1, -(-len(page.digits) // _IN_A_ROW)))
    axes: NDArray[Any] = plt.subplots(
        4,
        figsize=(width, sum(heights) + 1.6),
        height_ratios=heights,
        layout="constrained",
    )[1]
    return axes


def _draw_pieces(page: Page, ax: Axes) -> None:
    shown = np.where(page.mask, 1.0, np.where(page.rules, 0.25, 0.0))
    ax.imshow(shown, cmap="gray_r", vmin=0, vmax=1)
    ax.set_title("ink or no ink, in pieces")
    for number, piece in enumerate(page.digits, start=1):
        _draw_box(ax, piece, str(number), KEPT, "-")
    for piece in page.left_out:
        _draw_box(ax, piece, piece.left_out, LEFT_OUT, "--")


def _draw_box(ax: Axes, piece: Piece, text: str, colour: str, style: str) -> None:
    corner = (piece.left - 1.5, piece.top - 1.5)
    box = Rectangle(corner, piece.width + 2, piece.height + 2, ec=colour, fc="none", ls=style, lw=1.2)
    ax.add_patch(box)
    ax.text(*corner, text, color=colour, fontsize=9, va="bottom", clip_on=True)


def _draw_digits(page: Page, reading: Reading | None, ax: Axes) -> None:
    count = len(page.digits)
    ax.set_title("as MNIST stores them" if count else "no digit")
    columns = min(_IN_A_ROW, max(1, count))
    rows = -(-max(1, count) // columns)
    step_x, step_y = 34, 48  # a 28×28 image, its border, and a text of two lines below
    ax.set(xlim=(-3, step_x * _IN_A_ROW - 3), ylim=(step_y * rows, -3), aspect="equal")
    for index, image in enumerate(page.images):
        left, top = step_x * (index % columns), step_y * (index // columns)
        extent = (left - 0.5, left + 27.5, top + 27.5, top - 0.5)
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=255, extent=extent)
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), 28, 28, ec="0.6", fc="none", lw=0.6))
        if reading is not None:
            doubt = "" if reading.read[index] else "?"
            text = f"{reading.labels[index]}{doubt}\n{percent(float(reading.confidence[index]))}"
            ax.text(left + 13.5, top + 30, text, ha="center", va="top", fontsize=9)
    # imshow moves the limits to the last image
    ax.set(xlim=(-3, step_x * _IN_A_ROW - 3), ylim=(step_y * rows, -3))
