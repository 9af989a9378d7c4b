"""The self-check in the terminal: a student's own notebook, run here, judged under the public seed."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.grading.inputs import draw_unseen
from mnist_course.grading.judging import KeyedProbe
from mnist_course.grading.limits import Limits
from mnist_course.grading.marking import printable
from mnist_course.grading.notebooks import read_notebook
from mnist_course.grading.publishing import unseal
from mnist_course.grading.running import CellRun, Run, run_cells
from mnist_course.grading.values import decode

SEALED = re.compile(r'open_exercise\("(?P<name>[^"]+)", "(?P<sealed>[A-Za-z0-9+/=]+)"\)')
SECONDS = 600.0


@dataclass(frozen=True)
class Report:
    """What the terminal shows, and whether every probe is right."""

    lines: tuple[str, ...]
    all_right: bool


def check_notebook(path: str | os.PathLike[str]) -> Report:
    """Run every code cell of the notebook at `path` and judge its probes.

    Raises
    ------
    InputError
        When it is no notebook, or was not made from a released exercise.
    """
    path = Path(path)
    try:
        notebook = read_notebook(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    content = _sealed(path, [cell["source"] for cell in code])
    probes = {name: KeyedProbe.from_json(name, keyed) for name, keyed in content["probes"].items()}
    drawn = content["unseen"]
    images = draw_unseen(0, drawn["data"], drawn["count"]).images if drawn else None
    run = run_cells(
        [cell["source"] for cell in code], sandbox=None, limits=Limits(seconds=SECONDS), unseen=images
    )
    lines, right = [], 0
    for name, keyed in probes.items():
        text, correct = _checked(name, keyed, code, run)
        lines.append(text)
        right += correct
    if run.ended != "finished":
        lines.append(f"the notebook did not run to its end: {run.ended}")
    lines.append(f"{right} of {len(probes)} checks are right")
    return Report(tuple(_writable(line) for line in lines), right == len(probes))


def _sealed(path: Path, sources: list[str]) -> dict[str, Any]:
    for source in sources:
        found = SEALED.search(source)
        if found:
            try:
                return unseal(found["sealed"])
            except ValueError as error:
                raise InputError(
                    f"{path}: its first cell is damaged; take a fresh copy of it"
                ) from error
    raise InputError(f"{path} has no checks in it; expected a notebook that exercises release wrote")


def _checked(name: str, keyed: KeyedProbe, code: list[dict[str, Any]], run: Run) -> tuple[str, bool]:
    outcome = _outcome(name, code, run)
    nodes = [bundle.get("value") for bundle in outcome.bundles if bundle.get("name") == name]
    if nodes:
        try:
            value = decode(nodes[-1])
        except InputError as error:
            return f"✗ {name}: {error}", False
        return keyed.check(value), keyed.difference(value) is None
    if outcome.error:
        return f"✗ {name}: {printable(': '.join(outcome.error))}", False
    return f"✗ {name}: nothing was published; is its cell still there?", False


def _outcome(name: str, code: list[dict[str, Any]], run: Run) -> CellRun:
    """Return the run of the cell that asks `name`."""
    for cell, outcome in zip(code, run.cells, strict=False):
        ours = cell["metadata"].get("mnist_course")
        if isinstance(ours, dict) and ours.get("probe") == name:
            return outcome
    return CellRun()


def _writable(line: str) -> str:
    """Return `line` in what the terminal can show; ✓ and ✗ are not in every encoding."""
    encoding = sys.stdout.encoding or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)
