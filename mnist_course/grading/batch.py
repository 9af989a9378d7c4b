"""A class: every submission graded once, on as many processes or machines as there are."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.grading.answers import Key, answer
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.limits import Limits
from mnist_course.grading.marking import Result
from mnist_course.grading.state import State
from mnist_course.grading.submissions import Problem, Submission
from mnist_course.grading.workers import Task, outcomes_here


@dataclass(frozen=True)
class Grade:
    """Whose grade, for which exercise."""

    student: str
    exercise: str
    path: str
    result: Result


@dataclass
class ClassRun:
    """A graded class.

    Parameters
    ----------
    seed
        The seed that regrades exactly.
    grades
        One per submission, sorted by exercise and student.
    problems
        What could not be graded, and why.
    exercises
        The exercises that were graded.
    sandbox
        What stood around the kernels; None for nothing.
    """

    seed: int
    grades: list[Grade]
    problems: list[Problem]
    exercises: dict[str, Exercise] = field(default_factory=dict)
    sandbox: str | None = None


def grade_class(
    exercises: Mapping[str, Exercise],
    submissions: Iterable[Submission],
    out: str | os.PathLike[str],
    *,
    sandbox: str | None,
    seed: int | None = None,
    resume: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    limits: Limits | None = None,
    progress: bool = True,
) -> ClassRun:
    """Grade `submissions` and keep the state in `out`.

    Parameters
    ----------
    exercises
        Name → exercise.
    submissions
        What `find_submissions` found.
    out
        Folder for the state; the reports go there too.
    sandbox
        A name from `sandbox.available`, or None to run submissions without any.
    seed
        By default a fresh one of 128 bits.
    resume
        Continue an earlier run in `out` under its seed; what it graded stays graded.
    workers
        Processes on this machine.
    scheduler
        Address of a Dask scheduler to use instead.
    limits
        Bounds of one submission; by default `Limits` with each exercise's deadline.
    progress
        Show a bar on stderr.

    Raises
    ------
    InputError
        When `out` holds another run's grades, or the scheduler does not answer.
    """
    if workers < 1:
        raise InputError(f"--workers is {workers}; expected at least 1")
    state = State(Path(out), seed, resume)
    submissions = list(submissions)
    run = ClassRun(state.seed, [], [], dict(exercises), sandbox)
    results = {one.key: state.recall(one, exercises[one.exercise]) for one in submissions}
    waiting = [one for one in submissions if results[one.key] is None]
    with _bar(progress, len(submissions), len(submissions) - len(waiting)) as bar:
        bar.set_description("solving")
        keys = _keys(waiting, exercises, state.seed, limits, run.problems)
        bar.set_description("grading")
        tasks = [
            Task(one, keys[one.exercise], sandbox, limits) for one in waiting if one.exercise in keys
        ]
        for task, result in _outcomes(tasks, workers, scheduler):
            state.remember(task.submission, task.key.exercise, result)
            results[task.submission.key] = result
            bar.update(1)
    for one in submissions:
        if (known := results[one.key]) is not None:
            run.grades.append(Grade(one.student, one.exercise, one.shown, known))
    return run


def _outcomes(tasks: list[Task], workers: int, scheduler: str | None) -> Iterator[tuple[Task, Result]]:
    """Grade `tasks`; those that lost their time to a neighbour run once more, without any."""
    starved: list[Task] = []
    together = workers > 1 or scheduler is not None
    for task, result in _outcomes_at_once(tasks, workers, scheduler):
        if result.starved and together:
            starved.append(task)
        else:
            yield task, result
    yield from _outcomes_at_once(starved, 1, scheduler, alone=True)


def _outcomes_at_once(
    tasks: list[Task], workers: int, scheduler: str | None, *, alone: bool = False
) -> Iterator[tuple[Task, Result]]:
    if scheduler is None or not tasks:
        return outcomes_here(tasks, workers)
    from mnist_course.grading.cluster import outcomes_on_cluster

    return outcomes_on_cluster(tasks, scheduler, alone=alone)


def _keys(
    submissions: Iterable[Submission],
    exercises: Mapping[str, Exercise],
    seed: int,
    limits: Limits | None,
    problems: list[Problem],
) -> dict[str, Key]:
    """Answer every exercise; one whose own solution fails costs its submissions, and no others."""
    keys = {}
    for name in sorted({one.exercise for one in submissions}):
        try:
            keys[name] = answer(exercises[name], seed, limits=limits)
        except InputError as error:
            problems += [
                Problem(one.student, one.shown, f"the exercise is broken: {error}")
                for one in submissions
                if one.exercise == name
            ]
    return keys


def _bar(progress: bool, total: int, done: int) -> Any:
    from tqdm import tqdm

    quiet = {} if progress else {"disable": True}  # passing False would override TQDM_DISABLE
    return tqdm(total=total, initial=done, unit="submission", **quiet)
