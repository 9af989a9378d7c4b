"""Draw what stands for the site elsewhere: `book/_static/card.png` and `book/_static/favicon.png`.

    python tools/draw_card.py

The card, 1200 x 630 pixels, shows the first test digit of every class below the title; the icon is the
logo, 48 x 48 pixels, for browsers that take no SVG.
"""

from pathlib import Path

import matplotlib
import numpy as np
from check_pages import launch

matplotlib.use("agg")

import matplotlib.pyplot as plt

from mnist_course.data import load_mnist
from mnist_course.plotting import image_grid, use_style

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
TITLE, SUBTITLE = (
    "From Pixels to Fine-Tuning",
    "Convolutional networks on MNIST, in NumPy, Keras and PyTorch",
)
BLUE = "#1f3a5f"  # the logo's


def draw_card(path: Path) -> None:
    """Write the card."""
    test = load_mnist("test")
    images = test.images[[int(np.flatnonzero(test.labels == label)[0]) for label in range(10)]]
    use_style()
    figure = plt.figure(figsize=(12, 6.3), layout="none")
    axes = figure.add_gridspec(2, 5, left=0.06, right=0.94, bottom=0.06, top=0.58).subplots()
    image_grid(images, columns=5, axes=axes)
    figure.text(0.5, 0.79, TITLE, ha="center", fontsize=44, weight="bold", color=BLUE)
    figure.text(0.5, 0.67, SUBTITLE, ha="center", fontsize=21, color="#333333")
    with plt.rc_context({"savefig.bbox": None}):  # the course's figures are cut to what is drawn
        figure.savefig(path, dpi=100, facecolor="white", metadata={"Software": None})


def draw_icon(path: Path, *, side: int = 48) -> None:
    """Write the logo as a PNG file of `side` x `side` pixels, as Chromium draws it."""
    logo = (STATIC / "logo.svg").read_text(encoding="utf-8")
    with launch() as browser:
        page = browser.new_page(viewport={"width": side, "height": side})
        page.set_content(f"<style>body {{margin: 0}} svg {{display: block}}</style>{logo}")
        page.screenshot(path=path, omit_background=True)


if __name__ == "__main__":
    draw_card(STATIC / "card.png")
    draw_icon(STATIC / "favicon.png")
