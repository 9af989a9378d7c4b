"""What a grading run leaves behind: tables for the instructor, one page for each student.

Text from submissions is everywhere in here and nowhere trusted: HTML is escaped by the template engine,
table cells cannot become formulas, file names are made of letters and a hash. Pages tell students what
they published and what was wrong with it, never what was expected under the graded seed.
"""

import base64
import csv
import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mnist_course.files import atomic_write
from mnist_course.grading.batch import ClassRun, Grade
from mnist_course.grading.marking import GRADED
from mnist_course.grading.submissions import slug

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a table cell begins that a spreadsheet would run."""

PACKAGES = ("mnist-course", "numpy", "ipykernel", "jupyter-client")


@dataclass(frozen=True)
class Written:
    """How many submissions have points."""

    graded: int


def write_reports(run: ClassRun, out: str | os.PathLike[str]) -> Written:
    """Write grades.csv, grades.json, summary.html and feedback/ into `out`."""
    folder = Path(out)
    _write(folder / "grades.csv", grades_csv(run))
    _write(folder / "grades.json", json.dumps(grades_json(run), indent=1, ensure_ascii=False) + "\n")
    by_student: dict[str, list[Grade]] = defaultdict(list)
    for grade in run.grades:
        by_student[grade.student].append(grade)
    for student, grades in by_student.items():
        page = _render("feedback.html", student=student, grades=grades, exercises=run.exercises)
        _write(folder / "feedback" / f"{slug(student)}.html", page)
    _write(folder / "summary.html", _summary(run))
    return Written(sum(grade.result.status == GRADED for grade in run.grades))


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def grades_csv(run: ClassRun) -> str:
    """Return one row per submission: who, what, points, and every probe's points."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["student", "exercise", "points", "of", "status", "feedback", "notes", "probes"])
    for grade in run.grades:
        result = grade.result
        probes = " ".join(f"{probe.name}={probe.points:g}/{probe.of:g}" for probe in result.probes)
        feedback = f"feedback/{slug(grade.student)}.html"
        points = "" if result.points is None else f"{result.points:g}"
        notes = "; ".join(result.notes)
        row = [
            grade.student,
            grade.exercise,
            points,
            f"{result.of:g}",
            result.status,
            feedback,
            notes,
            probes,
        ]
        table.writerow([safe_cell(item) for item in row])
    for problem in run.problems:
        row = [problem.student, "", "", "", "not graded", "", f"{problem.path}: {problem.why}", ""]
        table.writerow([safe_cell(item) for item in row])
    return text.getvalue()


def safe_cell(text: str) -> str:
    """Return `text` so that no spreadsheet takes it for a formula.

    >>> safe_cell("=HYPERLINK(1)")
    "'=HYPERLINK(1)"
    """
    return "'" + text if text.lstrip(" ").startswith(FORMULA) else text


def grades_json(run: ClassRun) -> dict[str, Any]:
    """Return everything: seed, versions, results."""
    return {
        "format": 1,
        "seed": hex(run.seed),
        "sandbox": run.sandbox,
        "versions": {name: version(name) for name in PACKAGES},
        "exercises": {
            name: {"points": one.points, "sha256": one.digest}
            for name, one in run.exercises.items()
            if any(grade.exercise == name for grade in run.grades)
        },
        "grades": [
            {
                "student": grade.student,
                "exercise": grade.exercise,
                "path": grade.path,
                **grade.result.to_json(),
            }
            for grade in run.grades
        ],
        "problems": [asdict(problem) for problem in run.problems],
    }


def _render(template: str, **values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mnist_course.grading"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(template).render(values)


def _summary(run: ClassRun) -> str:
    chapters = []
    for name, exercise in sorted(run.exercises.items()):
        grades = [grade for grade in run.grades if grade.exercise == name]
        graded = [grade for grade in grades if grade.result.status == GRADED]
        if not grades:
            continue
        mistakes = Counter(
            (probe.misconception, probe.says)
            for grade in graded
            for probe in grade.result.probes
            if probe.misconception
        )
        solved = Counter(
            probe.name for grade in graded for probe in grade.result.probes if probe.correct
        )
        shares = {probe.name: solved[probe.name] / max(len(graded), 1) for probe in exercise.probes}
        points = [grade.result.points for grade in graded if grade.result.points is not None]
        chapters.append(
            {
                "exercise": exercise,
                "grades": grades,
                "points": points,
                "mistakes": mistakes.most_common(),
                "plot": _plot(points, exercise.points, shares) if points else None,
            }
        )
    return _render("summary.html", run=run, chapters=chapters, slug=slug)


def _plot(points: Sequence[float], most: float, shares: dict[str, float]) -> str:
    """Draw the points of a class and the share that solved each probe; return a data address."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    import numpy as np

    from mnist_course import plotting

    plotting.use_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 0.35 * len(shares) + 2), layout="constrained")
    left.hist(points, bins=np.linspace(0, most, 11).tolist(), edgecolor="black")
    left.set(xlabel="points", ylabel="submissions", title="points")
    names = list(shares)
    right.barh(range(len(names)), [shares[name] for name in names], edgecolor="black")
    right.set_yticks(range(len(names)), names)
    right.set(xlim=(0, 1), xlabel="share that solved it", title="probes")
    right.invert_yaxis()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
