"""What `mnist-course predict` does: pictures in, digits and a picture of the steps out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_course.data.dataset import DIGITS
from mnist_course.data.handwriting import Page, Reading, find_digits
from mnist_course.data.pictures import read_page, read_picture, to_28
from mnist_course.errors import InputError
from mnist_course.files import atomic_write
from mnist_course.history import History
from mnist_course.runs import newest, opened, writable

DIGIT_DATA = ("mnist", "optdigits")


def read_all(pictures: Sequence[Path], folder: Path | None, steps: Path) -> Iterator[str]:
    """Yield the lines that say what is on the pictures, and draw the steps of each page.

    Parameters
    ----------
    pictures
        Files. All are read before the network is opened.
    folder
        That the network's training wrote; the newest under runs/ by default.
    steps
        Folder for the drawings.

    Raises
    ------
    InputError
        A picture that cannot be read, or a page without a digit; no such network.
    """
    greys = [read_page(path) for path in pictures]
    folder = folder or newest()
    found: dict[int, Page] = {}
    if _knows_digits(folder):  # what is wrong with a page is said before a framework is loaded
        found = {
            index: _found(path, grey)
            for index, (path, grey) in enumerate(zip(pictures, greys, strict=True))
            if grey.shape != (28, 28)
        }
    network, training, settings = opened(folder)

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = training.predict_probabilities(network, images)
        return probabilities

    names = tuple(settings["class_names"])
    stems = Counter[str]()
    for index, (path, grey) in enumerate(zip(pictures, greys, strict=True)):
        if names != DIGITS:
            yield _one(path, predict(read_picture(path)[None])[0], names)
        elif grey.shape == (28, 28):
            yield _one(path, predict(to_28(grey)[None])[0], names)
        else:
            stems[path.stem] += 1
            again = f"-{stems[path.stem]}" if stems[path.stem] > 1 else ""
            page = found[index] if index in found else _found(path, grey)
            reading = Reading(page, predict(page.images))
            yield from _page(path, reading, writable(steps) / f"{path.stem}-steps{again}.png")


def _one(path: Path, probabilities: NDArray[np.float32], names: tuple[str, ...]) -> str:
    best, second = np.argsort(-probabilities)[:2]
    return (
        f"{path}: {names[best]}  ({probabilities[best]:.1%};"
        f" then {names[second]}, {probabilities[second]:.1%})"
    )


def _knows_digits(folder: Path) -> bool:
    """Tell from its history alone whether a network is for digits; what is wrong with it comes later."""
    try:
        return History.load(folder / "history.json").settings.get("data", "mnist") in DIGIT_DATA
    except (InputError, OSError):
        return False


def _found(path: Path, grey: NDArray[np.uint8]) -> Page:
    try:
        page = find_digits(grey)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not page.digits:
        raise InputError(f"{path} shows no digit: {_rest(page) or 'nothing is written on it'}")
    return page


def _page(path: Path, reading: Reading, drawing: Path) -> Iterator[str]:
    page = reading.page
    for row, text in enumerate(reading.lines):
        parts = [
            f"{sure:.1%}" + ("" if read else f" for {label}")
            for piece, sure, read, label in zip(
                page.digits, reading.confidence, reading.read, reading.labels, strict=True
            )
            if piece.row == row
        ]
        yield f"{path}: {text}  ({', '.join(parts)})"
    if rest := _rest(page):
        yield f"{path}: left out {rest}"
    _draw(reading, drawing)
    yield f"{path}: the steps are in {drawing}"


def _rest(page: Page) -> str:
    """Return what was left out, and how often."""
    reasons = Counter(piece.left_out for piece in page.left_out)
    if page.specks:
        reasons["a speck"] = page.specks
    return ", ".join(f"{count} × {reason}" for reason, count in reasons.items())


def _draw(reading: Reading, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    from mnist_course import plotting

    with plt.style.context("mnist_course.course"):
        figure = plotting.handwriting_steps(reading)[0].figure
        with atomic_write(path) as temporary:
            figure.savefig(temporary, dpi=150)
    plt.close(figure)
