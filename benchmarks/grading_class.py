"""A class that hands in: innocent students of an exercise, hostile ones, and the same for nbgrader.

The hostile submissions are those of the tests, `tests/grading/attacks`, moved into this exercise.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

from mnist_course.grading.exercise import Exercise

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "grading"))
SOURCE = ROOT / "exercises" / "02_convolution_arithmetic.ipynb"
ATTACKS = (
    "endless loop",
    "endless loop that catches everything",
    "fork bomb of small processes",
    "memory",
    "disk",
    "300 MB of output",
    "100,000 messages",
    "segmentation fault",
    "kill everything",
    "processes that outlive the kernel",
)
HOSTILE_SHARE = 0.1

Answers = dict[str, str]
"""Solution cell → source; the cells that are not in it stay stubs."""


def exercise_with_deadline(folder: Path, seconds: float) -> Exercise:
    """Write the exercise with another deadline into `folder`, which then is one of exercises."""
    notebook = json.loads(SOURCE.read_text("utf-8"))
    notebook["metadata"]["mnist_course"]["seconds"] = seconds
    folder.mkdir()
    (folder / SOURCE.name).write_text(json.dumps(notebook), "utf-8")
    return Exercise.load(folder / SOURCE.name)


def innocent_answers(exercise: Exercise, count: int, seed: int) -> dict[str, tuple[str, Answers]]:
    """Return student → (what they know, answers).

    Of five students two know everything, two have one misconception, one has written nothing.
    """
    rng = random.Random(seed)
    right = {cell.id: cell.source for cell in exercise.solutions}
    students: dict[str, tuple[str, Answers]] = {}
    for number in range(count):
        if number % 5 in (0, 3):
            kind, answers = "correct", right
        elif number % 5 == 2:
            kind, answers = "stub", {}
        else:
            wrong = rng.choice(exercise.misconceptions)
            kind, answers = wrong.name, right | {wrong.ours["of"]: wrong.source}
        students[f"student-{number:03d}"] = kind, answers
    return students


def hostile_answers(exercise: Exercise, count: int) -> dict[str, tuple[str, Answers]]:
    """Return student → (attack, answers): the attack in the first cell, the others unwritten."""
    from attacks.breaking import BREAKING

    first = exercise.solutions[0].id
    students = {}
    for number in range(count):
        kind = ATTACKS[number % len(ATTACKS)]
        # the cell that the attacks of the tests stand in
        source = BREAKING[kind]["spread"]
        for place in ("marker", "writable"):
            source = source.replace(f"<<{place}>>", "/nowhere")
        students[f"hostile-{number:03d}"] = kind, {first: source}
    return students


def spread_out(some: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Rename students so that `others` sit at even distances among `some`, in the order of grading."""
    step = (len(some) + len(others)) / max(1, len(others))
    seats = {name: (index + 0.5) * step for index, name in enumerate(others)}
    taken = {int(seat) for seat in seats.values()}
    free = [seat for seat in range(len(some) + len(others)) if seat not in taken]
    seats |= dict(zip(some, free, strict=True))
    return {f"{int(seats[name]):04d}-{name}": {**some, **others}[name] for name in seats}


def hand_in(exercise: Exercise, students: dict[str, tuple[str, Answers]], folder: Path) -> Path:
    """Write one file per student into `folder`."""
    from submitting import answered, as_bytes

    folder.mkdir()
    for name, (_, answers) in students.items():
        (folder / f"{name}.ipynb").write_bytes(as_bytes(answered(exercise, answers)))
    return folder


def nbgrader_course(exercise: Exercise, folder: Path) -> Path:
    """Write a course for nbgrader with this exercise in it, and let nbgrader release it.

    The cells of the exercise stay as they are, with two exceptions: where a probe publishes a value, a
    hidden test compares it, element by element, with the solution's value; and `exercise_rng` is NumPy's
    generator under a seed made of the name, because nbgrader draws nothing when it grades.
    """
    generator = "def exercise_rng(name):\n    return np.random.default_rng(list(name.encode()))"
    values = _solution_values(exercise, generator)
    cells = []
    for cell in exercise.cells:
        metadata = {"nbgrader": cell.nbgrader} if cell.nbgrader else {}
        if cell.kind == "prose":
            cells.append(nbformat.v4.new_markdown_cell(cell.source, id=cell.id, metadata=metadata))
        elif cell.kind != "misconception":
            source = cell.source
            if cell.kind == "setup":
                source = (
                    f"import numpy as np\n\n{generator}\n\ndef probe(name, value):\n    return value"
                )
            if cell.kind == "probe":
                head, _, call = source.rpartition("probe(")
                source = (
                    f"{head}value = probe({call}\n"
                    "### BEGIN HIDDEN TESTS\n"
                    f"expected = {values[cell.name]!r}\n"
                    "for one, other in zip(value, expected, strict=True):\n"
                    "    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)\n"
                    "### END HIDDEN TESTS"
                )
            cells.append(nbformat.v4.new_code_cell(source, id=cell.id, metadata=metadata))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    source_folder = folder / "source" / exercise.name
    source_folder.mkdir(parents=True)
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata=kernel),
        source_folder / f"{exercise.name}.ipynb",
    )
    run = subprocess.run(
        [*nbgrader("generate_assignment"), exercise.name, "--create"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        sys.exit(f"nbgrader generate_assignment failed:\n{run.stderr}")
    return folder


def hand_in_for_nbgrader(
    course: Path, exercise: Exercise, students: dict[str, tuple[str, Answers]], folder: Path
) -> Path:
    """Copy `course` to `folder`, with the released notebook filled in by `students`."""
    shutil.copytree(course, folder)
    released = nbformat.read(folder / "release" / exercise.name / f"{exercise.name}.ipynb", as_version=4)
    for name, (_, answers) in students.items():
        notebook = nbformat.from_dict(json.loads(json.dumps(released)))
        for cell in notebook.cells:
            mine = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = answers.get(mine, cell.source)
        place = folder / "submitted" / name / exercise.name
        place.mkdir(parents=True)
        nbformat.write(notebook, place / f"{exercise.name}.ipynb")
    return folder


def nbgrader_points(course: Path, exercise: Exercise) -> dict[str, float]:
    """Return student → points in the course's gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        return {one.student_id: one.score for one in book.assignment_submissions(exercise.name)}


def nbgrader(command: str) -> list[str]:
    """Return the beginning of a command line of nbgrader."""
    return [sys.executable, "-m", "nbgrader", command]


def environment() -> dict[str, str]:
    """Return an environment with this Python's Jupyter first, and one native thread per process."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PATH": path, "TQDM_DISABLE": "1"}


def _solution_values(exercise: Exercise, generator: str) -> dict[str, list[Any]]:
    """Run the author's own cells here; return what each probe gets, as nested lists."""
    values: dict[str, list[Any]] = {}
    names: dict[str, Any] = {
        "np": np,
        "probe": lambda name, value: values.update({name: [np.asarray(one).tolist() for one in value]}),
    }
    exec(generator, names)
    for cell in exercise.steps:
        if cell.kind != "setup":
            exec(cell.source, names)
    return values
