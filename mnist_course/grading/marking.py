"""One submission under one key: rebuild, run, judge.

Nothing of a student's file is run but the text of the solution cells, found by cell id and put into the
author's notebook. Nothing of the student's kernel decides but the values it published.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mnist_course.errors import InputError
from mnist_course.grading.answers import Key
from mnist_course.grading.exercise import Cell, Exercise
from mnist_course.grading.limits import Limits
from mnist_course.grading.notebooks import read_notebook
from mnist_course.grading.running import CellRun, KernelNeverStarted, Run, run_cells
from mnist_course.grading.values import decode, describe

ATTEMPTS = 3
"""How often a kernel is started for one submission before its infrastructure counts as broken."""

GRADED, REFUSED, UNGRADED = "graded", "refused", "not graded"

ENDED = {
    "deadline": "the time was up",
    "died": "the kernel's process ended",
    "flood": "too much output",
    "cut": "the kernel closed its connections",
}
"""How a run ends before its cells do."""

IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class ProbeResult:
    """The verdict on one probe, in words a student may read; it gives no expected number away."""

    name: str
    points: float
    of: float
    correct: bool
    message: str = ""
    own: str = ""
    largest_error: float | None = None
    misconception: str | None = None
    says: str = ""


@dataclass(frozen=True)
class Result:
    """The grade of one submission.

    Parameters
    ----------
    status
        ``"graded"``; ``"refused"``: the file is no submission; ``"not graded"``: our kernels failed.
    points, of
        The points, None unless graded, and what can be had.
    probes
        One result per probe, in order.
    notes
        What a person should know: missing cells, how the run ended.
    seconds
        What the student's cells took.
    starved
        Whether the time was up because others had the processor: it deserves a run without neighbours.
    """

    status: str
    points: float | None
    of: float
    probes: tuple[ProbeResult, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    starved: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Result":
        """Return the result that `to_json` wrote."""
        probes = tuple(ProbeResult(**probe) for probe in content["probes"])
        return cls(**{**content, "probes": probes, "notes": tuple(content["notes"])})


def mark(key: Key, data: bytes, *, sandbox: str | None, limits: Limits | None = None) -> Result:
    """Grade one submission.

    Parameters
    ----------
    key
        The answers under the seed of this run.
    data
        The submitted file, whatever it is.
    sandbox
        What to put around the kernel, or None for nothing.
    limits
        Bounds; by default `Limits` with the exercise's deadline.

    Returns
    -------
    Result
        Always: nothing that a file contains raises an exception here.
    """
    exercise = key.exercise
    try:
        answers, notes = student_sources(exercise, read_notebook(data))
    except InputError as error:
        return Result(REFUSED, None, exercise.points, notes=(str(error),))
    limits = limits or Limits(seconds=exercise.seconds)
    notes = (*notes, *foreign_imports(exercise, answers.values()))
    sources = [
        answers.get(cell.id, "") if cell.kind == "solution" else cell.source for cell in exercise.steps
    ]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            run = run_cells(
                sources,
                sandbox=sandbox,
                limits=limits,
                hide=exercise.hide,
                seed=key.seed,
                unseen=key.images,
            )
            break
        except KernelNeverStarted as error:
            if attempt == ATTEMPTS:
                why = f"no kernel started in {ATTEMPTS} attempts ({error}); grade again with --resume"
                return Result(UNGRADED, None, exercise.points, notes=(why,))
    return judged(key, run, notes)


def student_sources(
    exercise: Exercise, notebook: dict[str, Any]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the text of each solution cell that `notebook` has, and notes on those it has not.

    Raises
    ------
    InputError
        When it is a submission of another exercise, or of none.
    """
    other = exercise_of(notebook)
    if other is not None and other != exercise.name:
        raise InputError(f"it is a submission of {printable(other)}, expected {exercise.name}")
    wanted = {cell.id for cell in exercise.solutions}
    found: dict[str, str] = {}
    again: Counter[str] = Counter()
    for cell in notebook["cells"]:
        name = _identity(cell, notebook)
        if name not in wanted or cell["cell_type"] != "code":
            continue
        if name in found:
            again[str(name)] += 1
            continue
        found[name] = cell["source"]
    if not found:
        raise InputError(
            f"it has none of the cells of {exercise.name}; was it made from the released file?"
        )
    notes = [
        f"the cell {name} occurs {1 + more} times; the first one counts" for name, more in again.items()
    ]
    missing = sorted(wanted - set(found))
    return found, (*notes, *(f"the cell {name} is missing" for name in missing))


def foreign_imports(exercise: Exercise, sources: Iterable[str]) -> tuple[str, ...]:
    """Note what a student imports and the author does not: perhaps the answer, from a library.

    A look at the text, not a proof: there are many ways to import, and some imports are fine.
    """
    known = _imported(cell.source for cell in exercise.cells)
    foreign = sorted(_imported(sources) - known)
    return (f"imports what the exercise does not: {printable(', '.join(foreign))}",) if foreign else ()


def _imported(sources: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for source in sources for name in IMPORT.findall(source)}


def exercise_of(notebook: dict[str, Any]) -> str | None:
    """Return the exercise that a notebook says it is of."""
    ours = notebook["metadata"].get("mnist_course")
    name = ours.get("exercise") if isinstance(ours, dict) else None
    return name[:200] if isinstance(name, str) else None


def _identity(cell: dict[str, Any], notebook: dict[str, Any]) -> object:
    """Return a cell's id; for files of before cells had ids, nbgrader's name of it."""
    if notebook.get("nbformat_minor") in (0, 1, 2, 3, 4):
        nbgrader = cell["metadata"].get("nbgrader")
        return str(nbgrader.get("grade_id")) if isinstance(nbgrader, dict) else None
    name = cell.get("id")
    return name if isinstance(name, str) else None


def judged(key: Key, run: Run, notes: Sequence[str] = ()) -> Result:
    """Give points for what a run published."""
    exercise = key.exercise
    results = []
    for position, cell in enumerate(exercise.steps):
        if cell.kind == "probe":
            outcome = run.cells[position] if position < len(run.cells) else CellRun()
            result = _judge(key, cell, outcome)
            if not result.correct and not outcome.finished and run.ended in ENDED:
                result = replace(result, message=f"{ENDED[run.ended]} before this cell was done")
            results.append(result)
    for cell, outcome in zip(exercise.steps, run.cells, strict=False):
        if cell.kind == "solution" and outcome.error is not None:
            notes = (*notes, f"the cell {cell.id} raised {_quoted(outcome.error)}")
    if run.ended != "finished":
        why = f" ({printable(run.why)})" if run.why else ""
        notes = (*notes, f"the run ended early: {ENDED[run.ended]}{why}")
    points = sum(result.points for result in results)
    seconds = round(run.seconds, 3)
    return Result(GRADED, points, exercise.points, tuple(results), tuple(notes), seconds, run.starved)


def _judge(key: Key, probe: Cell, outcome: CellRun) -> ProbeResult:
    wrong = ProbeResult(probe.name, 0.0, probe.points, correct=False)
    bundles = [bundle for bundle in outcome.bundles if bundle.get("name") == probe.name]
    if len(bundles) > 1:
        return replace(
            wrong, message=f"it was published {len(bundles)} times; exactly one answer counts"
        )
    if not bundles:
        return replace(wrong, message=_why_nothing(outcome))
    if set(bundles[0]) != {"version", "name", "value"}:
        return replace(wrong, message="what was published is not a value of this course")
    try:
        value = decode(bundles[0]["value"])
    except InputError as error:
        return replace(wrong, message=str(error))
    judgement = key.probes[probe.name].judge(value)
    return ProbeResult(
        name=probe.name,
        points=probe.points if judgement.correct else 0.0,
        of=probe.points,
        correct=judgement.correct,
        message=printable(judgement.message),
        own=describe(value),
        largest_error=judgement.largest_error,
        misconception=judgement.misconception,
        says=judgement.says,
    )


def _why_nothing(outcome: CellRun) -> str:
    if outcome.error is None:
        return "nothing was published"
    name, text = outcome.error
    if name == "NotImplementedError":
        return printable(f"not written yet: {text}".removesuffix(": "))
    return f"your code raised {_quoted(outcome.error)}"


def _quoted(error: tuple[str, str]) -> str:
    return printable(": ".join(part for part in error if part))


def printable(text: str, longest: int = 300) -> str:
    r"""Return one harmless line of `text`: no control, direction or surrogate characters.

    >>> printable("two\nlines \x1b[31mred")
    'two lines red'
    """
    line = " ".join(ANSI.sub("", text).split())
    line = "".join(character if character.isprintable() else "�" for character in line)
    return line if len(line) <= longest else line[: longest - 1] + "…"
