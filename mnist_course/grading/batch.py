"""A class: every submission graded once, on as many processes or machines as there are.

The state is one small file per submission, written when its grade is known and never before. A run that
is killed at any moment continues from there under the same seed, and gives the same grades.
"""

import json
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.files import atomic_write
from mnist_course.grading.answers import Key, answer
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.limits import Limits
from mnist_course.grading.marking import UNGRADED, Result, mark
from mnist_course.grading.notebooks import read_bytes
from mnist_course.grading.submissions import Problem, Submission

SEED_BITS = 128
QUEUED_PER_WORKER = 2
"""Submissions whose bytes are in memory at a time, for each worker."""


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


@dataclass(frozen=True)
class Task:
    """What a worker gets."""

    submission: Submission
    key: Key
    sandbox: str | None
    limits: Limits | None


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
    state = _State(Path(out), seed, resume)
    submissions = list(submissions)
    run = ClassRun(state.seed, [], [], dict(exercises), sandbox)
    results = {one.key: state.recall(one, exercises[one.exercise]) for one in submissions}
    waiting = [one for one in submissions if results[one.key] is None]
    keys = _keys(
        {one.exercise for one in waiting}, exercises, state.seed, limits, run.problems, submissions
    )
    tasks = [Task(one, keys[one.exercise], sandbox, limits) for one in waiting if one.exercise in keys]
    with _bar(progress, len(submissions), len(submissions) - len(waiting)) as bar:
        for task, result in _outcomes(tasks, workers, scheduler):
            state.remember(task.submission, task.key.exercise, result)
            results[task.submission.key] = result
            bar.update(1)
    for one in submissions:
        if (known := results[one.key]) is not None:
            run.grades.append(Grade(one.student, one.exercise, one.shown, known))
    return run


def _keys(
    names: Iterable[str],
    exercises: Mapping[str, Exercise],
    seed: int,
    limits: Limits | None,
    problems: list[Problem],
    submissions: Iterable[Submission],
) -> dict[str, Key]:
    """Answer every exercise; one whose own solution fails costs its submissions, and no others."""
    keys = {}
    for name in sorted(names):
        try:
            keys[name] = answer(exercises[name], seed, limits=limits)
        except InputError as error:
            problems += [
                Problem(one.student, one.shown, f"the exercise is broken: {error}")
                for one in submissions
                if one.exercise == name
            ]
    return keys


class _State:
    """The files of a run: its seed, and one result per submission."""

    def __init__(self, folder: Path, seed: int | None, resume: bool):
        self.results = folder / "results"
        known = _read_json(folder / "run.json")
        if known is not None and not resume:
            raise InputError(
                f"{folder} holds the grades of an earlier run; use --resume, or another folder"
            )
        earlier = None if known is None else int(known["seed"], 16)
        if earlier is not None and seed is not None and seed != earlier:
            raise InputError(
                f"{folder} was graded under the seed {earlier:#x}; resume it without --seed"
            )
        self.seed = next(s for s in (earlier, seed, secrets.randbits(SEED_BITS)) if s is not None)
        _write_json(folder / "run.json", {"seed": hex(self.seed)})

    def recall(self, submission: Submission, exercise: Exercise) -> Result | None:
        """Return the result of an earlier run, if nothing that it depends on has changed."""
        known = _read_json(self.results / f"{submission.key}.json")
        if known is None or known["depends"] != self._depends(submission, exercise):
            return None
        result = Result.from_json(known["result"])
        return None if result.status == UNGRADED else result

    def remember(self, submission: Submission, exercise: Exercise, result: Result) -> None:
        """Write down a result."""
        content = {"depends": self._depends(submission, exercise), "result": result.to_json()}
        _write_json(self.results / f"{submission.key}.json", content)

    def _depends(self, submission: Submission, exercise: Exercise) -> dict[str, str]:
        return {"seed": hex(self.seed), "exercise": exercise.digest, "submission": submission.digest}


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is damaged; delete it to grade again what it was about") from error
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _bar(progress: bool, total: int, done: int) -> Any:
    from tqdm import tqdm

    quiet = {} if progress else {"disable": True}  # passing False would override TQDM_DISABLE
    return tqdm(total=total, initial=done, unit="submission", desc="grading", **quiet)


def _outcomes(tasks: list[Task], workers: int, scheduler: str | None) -> Iterator[tuple[Task, Result]]:
    if scheduler is not None:
        from mnist_course.grading.cluster import outcomes_on_cluster

        yield from outcomes_on_cluster(tasks, scheduler)
    elif workers == 1 or len(tasks) <= 1:
        for task in tasks:
            yield task, mark_submission(task, _data(task.submission))
    else:
        yield from _outcomes_of_pool(tasks, workers)


def _data(submission: Submission) -> bytes:
    try:
        return read_bytes(submission.path)
    except InputError:
        return b""  # it was there a moment ago; `mark` reports an empty file


def mark_submission(task: Task, data: bytes) -> Result:
    """Grade one submission; what goes wrong in here is ours and costs the student nothing."""
    try:
        return mark(task.key, data, sandbox=task.sandbox, limits=task.limits)
    except Exception as error:
        return ungraded(task, f"the grader failed: {type(error).__name__}: {error}")


def ungraded(task: Task, why: str) -> Result:
    """Return the result of a submission that our side could not grade."""
    return Result(UNGRADED, None, task.key.exercise.points, notes=(why,))


def _outcomes_of_pool(tasks: list[Task], workers: int) -> Iterator[tuple[Task, Result]]:
    """Grade on `workers` processes; a process that dies costs nobody their grade."""
    suspects: list[Task] = []
    yield from _outcomes_of_processes(tasks, workers, suspects)
    for task in suspects:  # one of them broke the others' pool: each gets a process of its own
        alone: list[Task] = []
        yield from _outcomes_of_processes([task], 1, alone)
        for one in alone:
            yield one, ungraded(one, "the grading process died; grade again with --resume")


def _outcomes_of_processes(
    tasks: Iterable[Task], workers: int, unfinished: list[Task]
) -> Iterator[tuple[Task, Result]]:
    """Yield results as they come, in bounded memory; note what a dead process left undone."""
    running: dict[Future[Result], Task] = {}
    with _pool(workers) as pool:
        for task in tasks:
            try:
                running[pool.submit(mark_submission, task, _data(task.submission))] = task
            except BrokenProcessPool:
                unfinished.append(task)
            while len(running) >= workers * QUEUED_PER_WORKER:
                yield from _finished(running, unfinished)
        while running:
            yield from _finished(running, unfinished)


def _finished(
    running: "dict[Future[Result], Task]", unfinished: list[Task]
) -> Iterator[tuple[Task, Result]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        task = running.pop(future)
        try:
            yield task, future.result()
        except BrokenProcessPool:
            unfinished.append(task)


def _pool(workers: int) -> ProcessPoolExecutor:
    # spawn: a forked process would share ZeroMQ's threads and sockets with this one
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_follow_parent, initargs=(os.getpid(),)
    )


def _follow_parent(parent: int) -> None:
    """End this worker when the process that started it is killed; its kernel ends with it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
