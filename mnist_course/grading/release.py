"""From the author's notebook to the student's: no solutions, no misconceptions, a sealed self-check.

A student has this one file, so links to the book's files become text.
"""

import os
import re
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.grading.answers import Key, answer
from mnist_course.grading.exercise import Cell, Exercise
from mnist_course.grading.inputs import PUBLIC_SEED
from mnist_course.grading.notebooks import read_notebook, write_notebook
from mnist_course.grading.publishing import seal

OPENING_CELL = "exercise"
"""The id of the cell that a released notebook has and its source has not."""

LOCKED = {"deletable": False, "editable": False}

LINK = re.compile(r"\[([^\[\]]+)\]\((?![a-z][a-z0-9+.-]*:)([^()\s#]+\.(?:ipynb|md))(?:#[^()\s]*)?\)")
"""A link to a text beside the exercise: its words, and the relative path."""


def release(exercise: Exercise, folder: str | os.PathLike[str]) -> Path:
    """Write the student's version of `exercise` into `folder`; return its path.

    Raises
    ------
    InputError
        When the exercise's own solution fails.
    """
    path = Path(folder) / f"{exercise.name}.ipynb"
    write_notebook(student_version(answer(exercise, PUBLIC_SEED)), path)
    return path


def student_version(key: Key) -> dict[str, Any]:
    """Return the notebook that students get.

    Parameters
    ----------
    key
        The answers under the public seed.
    """
    if key.seed != PUBLIC_SEED:
        raise InputError(f"a release shows its expected values; make it under the seed {PUBLIC_SEED}")
    exercise = key.exercise
    folder = exercise.path.parent if exercise.path else None
    cells = [_released(cell, folder) for cell in exercise.cells if cell.kind != "misconception"]
    first_code = next(i for i, cell in enumerate(cells) if cell["cell_type"] == "code")
    cells.insert(first_code, _opening_cell(key))
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "mnist_course": {"exercise": exercise.name, "release": exercise.digest[:16]},
        },
        "cells": cells,
    }


def _opening_cell(key: Key) -> dict[str, Any]:
    exercise = key.exercise
    sealed = seal(
        {
            "probes": {name: keyed.to_json() for name, keyed in key.probes.items()},
            "hints": {probe.name: probe.ours.get("hints", []) for probe in exercise.probes},
            "unseen": dict(exercise.unseen) if exercise.unseen else None,
        }
    )
    source = (
        "# Run this cell first: it prepares the checks and the hints of this exercise.\n"
        "from mnist_course.grading import open_exercise\n\n"
        f'open_exercise("{exercise.name}", "{sealed}")'
    )
    metadata = {**LOCKED, "jupyter": {"source_hidden": True}, "mnist_course": {"opens": exercise.name}}
    return _code(OPENING_CELL, source, metadata)


def without_links(text: str, folder: Path | None) -> str:
    """Return Markdown in which links to other texts are words; a notebook's link names its heading.

    Parameters
    ----------
    text
        For example ``"[Chapter 2](../chapters/02_convolution.ipynb) slid kernels"``, which becomes
        ``"Chapter 2 (*Convolution*) slid kernels"``.
    folder
        Where the links start from; without it, or without the file there, only the words stay.
    """

    def words(link: re.Match[str]) -> str:
        heading = _heading(folder / link[2]) if folder and link[2].endswith(".ipynb") else None
        if heading is None:
            return link[1]
        number, _, title = heading.partition(". ")
        if not number.isdecimal():
            return f"{link[1]} (*{heading}*)"
        if link[1].lower() == f"chapter {number}":
            return f"{link[1]} (*{title}*)"
        return f"{link[1]} (chapter {number}, *{title}*)"

    return LINK.sub(words, text)


def _heading(path: Path) -> str | None:
    try:
        cells = read_notebook(path)["cells"]
    except InputError:
        return None  # an exercise may be released where its book is not
    texts = (cell["source"] for cell in cells if cell["cell_type"] == "markdown")
    found = (re.search(r"^# +(.+?) *$", text, re.MULTILINE) for text in texts)
    return next((heading[1] for heading in found if heading), None)


def _released(cell: Cell, folder: Path | None) -> dict[str, Any]:
    if cell.kind == "prose":
        source = without_links(cell.source, folder)
        return {"cell_type": "markdown", "id": cell.id, "metadata": {}, "source": source}
    if cell.kind == "solution":
        return _code(cell.id, cell.stub, {"deletable": False, "nbgrader": cell.nbgrader})
    if cell.kind == "probe":
        ours = {"probe": cell.name}
        return _code(cell.id, cell.source, {**LOCKED, "nbgrader": cell.nbgrader, "mnist_course": ours})
    return _code(cell.id, cell.source, {"nbgrader": cell.nbgrader} if cell.nbgrader else {})


def _code(name: str, source: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": metadata,
        "source": source,
        "execution_count": None,
        "outputs": [],
    }
