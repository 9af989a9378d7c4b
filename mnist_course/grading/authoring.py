"""Writing a new exercise: cells in order, metadata as nbgrader and this grader read them.

A `Draft` is for the first version; from then on the notebook is the source, edited in JupyterLab.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.lint import lint
from mnist_course.grading.notebooks import read_notebook, write_notebook


class Draft:
    """An exercise in the making; every method appends one cell.

    Parameters
    ----------
    name
        File name without its ending, for example ``"02_convolution_arithmetic"``.
    title
        The notebook's heading.
    hide
        Modules of this package that answer the exercise; a sandbox will not contain them.
    seconds
        Deadline for one submission.
    unseen
        ``{"data": "mnist", "count": 500}`` for an exercise judged on predictions.
    """

    def __init__(
        self,
        name: str,
        title: str,
        *,
        hide: Sequence[str] = (),
        seconds: float = 60,
        unseen: dict[str, Any] | None = None,
    ):
        self.name = name
        self.ours: dict[str, Any] = {"exercise": name, "hide": list(hide), "seconds": seconds}
        if unseen is not None:
            self.ours["unseen"] = unseen
        self.cells: list[dict[str, Any]] = []
        self.prose("title", f"# {title}")

    def prose(self, id: str, text: str) -> None:
        """Append a text cell (Markdown)."""
        cell = {"cell_type": "markdown", "id": id, "metadata": {}, "source": text.strip("\n")}
        self.cells.append(cell)

    def setup(self, id: str, source: str) -> None:
        """Append code that students keep as it is."""
        self._code(id, source, {})

    def solution(self, id: str, source: str, *, stub: str) -> None:
        """Append what students write; `stub` is what the unwritten region tells them."""
        self._code(
            id, source, {"nbgrader": _nbgrader(id, solution=True), "mnist_course": {"stub": stub}}
        )

    def misconception(self, id: str, source: str, *, of: str, says: str) -> None:
        """Append a wrong version of the solution cell `of`, which must follow, and what helps."""
        self._code(id, source, {"mnist_course": {"misconception": id, "of": of, "says": says}})

    def probe(
        self, id: str, name: str, source: str, *, points: float, hints: Sequence[str], **judged: Any
    ) -> None:
        """Append a question; `judged` may hold rtol, atol, dtype or at_least."""
        ours = {"probe": name, "hints": list(hints), **judged}
        self._code(id, source, {"nbgrader": _nbgrader(id, points=points), "mnist_course": ours})

    def _code(self, id: str, source: str, metadata: dict[str, Any]) -> None:
        self.cells.append(
            {
                "cell_type": "code",
                "id": id,
                "metadata": metadata,
                "source": source.strip("\n"),
                "execution_count": None,
                "outputs": [],
            }
        )

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write the notebook into `folder`; return its path.

        Raises
        ------
        InputError
            When the lint finds something; nothing is written then.
        """
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
                "mnist_course": self.ours,
            },
            "cells": self.cells,
        }
        findings = lint(Exercise.parse(notebook))
        if findings:
            raise InputError(f"{self.name}: " + "; ".join(findings))
        path = Path(folder) / f"{self.name}.ipynb"
        write_notebook(notebook, path)
        read_notebook(path)
        return path


def _nbgrader(id: str, *, solution: bool = False, points: float | None = None) -> dict[str, Any]:
    cell = {
        "schema_version": 3,
        "grade_id": id,
        "solution": solution,
        "grade": points is not None,
        "locked": points is not None,
        "task": False,
    }
    return cell if points is None else {**cell, "points": points}


def template(name: str) -> Draft:
    """Return a small complete exercise for an author to start from."""
    draft = Draft(name, name.partition("_")[2].replace("_", " ").capitalize())
    draft.prose("intro", "Say what the exercise is about, and what must be written.")
    draft.setup(
        "setup",
        "import numpy as np\n\nfrom mnist_course.grading import exercise_rng, hint, probe",
    )
    draft.prose(
        "spread-text", "## Spread\n\nReturn the sample standard deviation of `values`, shape (N,)."
    )
    draft.misconception(
        "spread-population",
        "def spread(values):\n    return np.sqrt(((values - values.mean()) ** 2).sum() / values.size)",
        of="spread",
        says="You divided by N; the sample standard deviation divides by N - 1.",
    )
    draft.solution(
        "spread",
        "def spread(values):\n"
        '    """Return the sample standard deviation of `values`, shape (N,), as a float."""\n'
        "    ### BEGIN SOLUTION\n"
        "    return np.sqrt(((values - values.mean()) ** 2).sum() / (values.size - 1))\n"
        "    ### END SOLUTION",
        stub="write spread(values)",
    )
    draft.probe(
        "check-spread",
        "spread",
        'rng = exercise_rng("spread")\nprobe("spread", [spread(rng.normal(size=n)) for n in (2, 5, 9)])',
        points=2,
        hints=[
            "What does the sum hold when there are two values?",
            "How many of the N deviations are free once their sum is known to be 0?",
        ],
    )
    return draft
