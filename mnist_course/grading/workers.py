"""Grading on this machine: one submission after the other, or on several processes."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from mnist_course.errors import InputError
from mnist_course.grading.answers import Key
from mnist_course.grading.limits import Limits
from mnist_course.grading.marking import UNGRADED, Result, mark
from mnist_course.grading.notebooks import read_bytes
from mnist_course.grading.submissions import Submission

QUEUED_PER_WORKER = 2
"""Submissions whose bytes are in memory at a time, for each worker."""


@dataclass(frozen=True)
class Task:
    """What a worker gets."""

    submission: Submission
    key: Key
    sandbox: str | None
    limits: Limits | None


def outcomes_here(tasks: list[Task], workers: int) -> Iterator[tuple[Task, Result]]:
    """Grade `tasks`; yield results as they come."""
    if workers == 1:
        for task in tasks:
            yield task, mark_submission(task, submitted_bytes(task.submission))
    else:
        yield from _outcomes_of_pool(tasks, workers)


def submitted_bytes(submission: Submission) -> bytes:
    """Return the file as it is now."""
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
                running[pool.submit(mark_submission, task, submitted_bytes(task.submission))] = task
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
