"""The bridge into an nbgrader gradebook: points per probe, through nbgrader's own interface."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnist_course.errors import InputError
from mnist_course.grading.batch import ClassRun
from mnist_course.grading.marking import GRADED


def write_gradebook(run: ClassRun, url: str) -> int:
    """Write the points of `run` into the nbgrader gradebook at `url`; return how many submissions.

    An exercise becomes an assignment with one notebook of the same name, a probe cell a grade cell.
    Scores given by hand in nbgrader stay; submissions that were not graded are left out.

    Parameters
    ----------
    run
        The graded class.
    url
        As nbgrader writes it, for example ``sqlite:///gradebook.db``.

    Raises
    ------
    InputError
        When the database cannot be opened.
    """
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _own_commands():
            book = Gradebook(url)
    except SQLAlchemyError as error:
        raise InputError(f"cannot open the gradebook {url}: {str(error).splitlines()[0]}") from error
    graded = [grade for grade in run.grades if grade.result.status == GRADED]
    with book, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbgrader's own queries
        for name in sorted({grade.exercise for grade in graded}):
            book.update_or_create_assignment(name)
            book.update_or_create_notebook(name, name)
            for cell in run.exercises[name].probes:
                book.update_or_create_grade_cell(
                    cell.id, name, name, max_score=cell.points, cell_type="code"
                )
        for grade in graded:
            book.update_or_create_student(grade.student)
            book.update_or_create_submission(grade.exercise, grade.student)
            cells = {probe.name: probe.id for probe in run.exercises[grade.exercise].probes}
            for probe in grade.result.probes:
                entry = book.find_grade(cells[probe.name], grade.exercise, grade.exercise, grade.student)
                entry.auto_score = probe.points
                entry.needs_manual_grade = False
        book.db.commit()
    return len(graded)


@contextmanager
def _own_commands() -> Iterator[None]:
    """Let nbgrader find `alembic`, which it calls by name, where this environment is not activated."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before
