"""An exercise as its author wrote it: one notebook with solutions, probes and misconceptions.

What a cell is, its metadata say: nbgrader's (schema version 3) mark solutions and probes, so that
nbgrader's own tools open the file; `mnist_course` adds what nbgrader has no word for.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.grading.comparison import Tolerance
from mnist_course.grading.notebooks import read_notebook

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
KINDS = ("prose", "setup", "solution", "probe", "misconception")


@dataclass(frozen=True)
class Cell:
    """One cell of the author's notebook.

    Parameters
    ----------
    kind
        One of `KINDS`.
    id
        The cell's id, by which a student's answer is found.
    source
        Its text.
    ours, nbgrader
        Its metadata under ``mnist_course`` and under ``nbgrader``.
    """

    kind: str
    id: str
    source: str
    ours: dict[str, Any] = field(default_factory=dict)
    nbgrader: dict[str, Any] = field(default_factory=dict)

    @property
    def stub(self) -> str:
        """The source of a solution cell as a student gets it."""
        says = self.ours.get("stub") or f"write the cell {self.id}"
        lines, inside = [], False
        for line in self.source.split("\n"):
            if BEGIN in line:
                inside = True
                indent = line[: len(line) - len(line.lstrip())]
                lines.append(
                    f"{indent}raise NotImplementedError({json.dumps(says, ensure_ascii=False)})"
                )
            elif END in line:
                inside = False
            elif not inside:
                lines.append(line)
        return "\n".join(lines)

    @property
    def name(self) -> str:
        """The name of a probe or a misconception."""
        return str(self.ours[self.kind])

    @property
    def points(self) -> float:
        """What a probe is worth."""
        return float(self.nbgrader["points"])

    @property
    def tolerance(self) -> Tolerance:
        """How equal a probe's value must be."""
        given = {key: self.ours[key] for key in ("rtol", "atol", "dtype") if key in self.ours}
        return Tolerance(**given)


@dataclass(frozen=True)
class Exercise:
    """A source notebook, taken apart.

    Parameters
    ----------
    name
        For example ``"02_convolution_arithmetic"``; also the notebook's file name.
    cells
        All cells in order.
    hide
        Modules of this package that a sandbox must not contain, because they answer the exercise.
    seconds
        Deadline for one submission.
    unseen
        ``{"data": "mnist", "count": 500}`` where the exercise is judged on unseen images.
    path
        The file it was read from, if any: what its relative links start from.
    """

    name: str
    cells: tuple[Cell, ...]
    hide: tuple[str, ...] = ()
    seconds: float = 60.0
    unseen: Mapping[str, Any] | None = None
    path: Path | None = field(default=None, compare=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Exercise":
        """Read ``exercises/NN_name.ipynb``.

        Raises
        ------
        InputError
            When the file is no notebook, or no exercise.
        """
        path = Path(path)
        try:
            return replace(cls.parse(read_notebook(path)), path=path)
        except InputError as error:
            raise InputError(f"{path.name} is no exercise: {error}") from error

    @classmethod
    def parse(cls, notebook: dict[str, Any]) -> "Exercise":
        """Take an author's notebook apart."""
        ours = notebook["metadata"].get("mnist_course")
        if type(ours) is not dict or not isinstance(ours.get("exercise"), str):
            raise InputError(
                'its metadata name no exercise; add {"mnist_course": {"exercise": "NN_name"}}'
            )
        return cls(
            ours["exercise"],
            tuple(_cell(cell) for cell in notebook["cells"]),
            tuple(ours.get("hide", ())),
            float(ours.get("seconds", 60)),
            ours.get("unseen"),
        )

    def of_kind(self, kind: str) -> tuple[Cell, ...]:
        """Return the cells of one kind, in order."""
        return tuple(cell for cell in self.cells if cell.kind == kind)

    @property
    def solutions(self) -> tuple[Cell, ...]:
        """The cells that a student writes."""
        return self.of_kind("solution")

    @property
    def probes(self) -> tuple[Cell, ...]:
        """The cells that ask."""
        return self.of_kind("probe")

    @property
    def misconceptions(self) -> tuple[Cell, ...]:
        """The cells that are wrong on purpose."""
        return self.of_kind("misconception")

    @property
    def steps(self) -> tuple[Cell, ...]:
        """The cells that run: setup, solutions and probes."""
        return tuple(cell for cell in self.cells if cell.kind in ("setup", "solution", "probe"))

    @property
    def points(self) -> float:
        """What all probes are worth together."""
        return sum(probe.points for probe in self.probes)

    @property
    def title(self) -> str:
        """The first heading of the text."""
        for cell in self.of_kind("prose"):
            if found := re.search(r"^#\s+(.+)$", cell.source, re.MULTILINE):
                return found[1].strip()
        return self.name

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that decides about points; outputs do not."""
        content = [
            self.name,
            list(self.hide),
            self.seconds,
            self.unseen,
            [[cell.kind, cell.id, cell.source, cell.ours, cell.nbgrader] for cell in self.cells],
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _cell(cell: dict[str, Any]) -> Cell:
    metadata = cell["metadata"]
    ours, nbgrader = metadata.get("mnist_course", {}), metadata.get("nbgrader", {})
    if cell["cell_type"] != "code":
        kind = "prose"
    elif "misconception" in ours:
        kind = "misconception"
    elif nbgrader.get("grade") and not nbgrader.get("solution"):
        kind = "probe"
    elif nbgrader.get("solution"):
        kind = "solution"
    else:
        kind = "setup"
    needed = {"probe": ("probe",), "misconception": ("of", "says")}.get(kind, ())
    missing = [key for key in needed if not isinstance(ours.get(key), str)]
    if kind == "probe" and not isinstance(nbgrader.get("points"), int | float):
        missing.append("points")
    if missing:
        raise InputError(f"the {kind} cell {cell.get('id')!r} says nothing of {', '.join(missing)}")
    return Cell(kind, str(cell.get("id", "")), cell["source"], ours, nbgrader)


def find_exercises(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Return name → path of the source notebooks in `folder`, sorted by name.

    Raises
    ------
    InputError
        When there are none.
    """
    paths = sorted(Path(folder).glob("[0-9]*.ipynb"))
    if not paths:
        raise InputError(
            f"{folder} holds no exercise; name the course's folder of exercises with --exercises"
        )
    return {path.stem: path for path in paths}
