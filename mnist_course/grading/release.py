"""From the author's notebook to the student's: no solutions, no misconceptions, a sealed self-check."""

import os
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.grading.answers import Key, answer
from mnist_course.grading.exercise import Cell, Exercise
from mnist_course.grading.inputs import PUBLIC_SEED
from mnist_course.grading.notebooks import write_notebook
from mnist_course.grading.publishing import seal

OPENING_CELL = "exercise"
"""The id of the cell that a released notebook has and its source has not."""

LOCKED = {"deletable": False, "editable": False}


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
    cells = [_released(cell) for cell in exercise.cells if cell.kind != "misconception"]
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


def _released(cell: Cell) -> dict[str, Any]:
    if cell.kind == "prose":
        return {"cell_type": "markdown", "id": cell.id, "metadata": {}, "source": cell.source}
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
