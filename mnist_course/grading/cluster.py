"""Grading on a Dask cluster: the same tasks, other machines.

A submission travels as bytes. Workers need this package in the same version and, unless told otherwise,
the kind of sandbox that works where the command was typed.
"""

from collections.abc import Iterator
from typing import Any

from mnist_course.errors import InputError
from mnist_course.grading.answers import Key
from mnist_course.grading.limits import Limits
from mnist_course.grading.marking import Result
from mnist_course.grading.submissions import Submission
from mnist_course.grading.workers import (
    QUEUED_PER_WORKER,
    Task,
    mark_submission,
    submitted_bytes,
    ungraded,
)

SECONDS_TO_CONNECT = 20


def outcomes_on_cluster(
    tasks: list[Task], scheduler: str, *, alone: bool = False
) -> Iterator[tuple[Task, Result]]:
    """Grade `tasks` on the cluster at `scheduler`, one at a time if `alone`; yield results as they come.

    Raises
    ------
    InputError
        When nothing answers at that address, or no worker has joined.
    """
    import distributed

    library: Any = distributed  # not annotated
    try:
        client = library.Client(scheduler, timeout=SECONDS_TO_CONNECT)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler}; start one with dask scheduler"
        ) from error
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise InputError(f"the scheduler at {scheduler} has no workers; start some with dask worker")
        completed = library.as_completed()
        yield from _bounded(client, completed, tasks, 1 if alone else threads * QUEUED_PER_WORKER)


def _mark(
    key: Key, submission: Submission, sandbox: str | None, limits: Limits | None, data: bytes
) -> Result:
    """Grade the task of these parts, whose key came before the others."""
    return mark_submission(Task(submission, key, sandbox, limits), data)


def _bounded(client: Any, completed: Any, tasks: list[Task], most: int) -> Iterator[tuple[Task, Result]]:
    """Keep at most `most` submissions on the cluster; `completed` yields their futures."""
    # a key goes to the workers once: Dask remembers its last thousand messages, on both sides
    keys = {id(task.key): task.key for task in tasks}
    sent = dict(zip(keys, client.scatter(list(keys.values()), broadcast=True, hash=False), strict=True))
    waiting = iter(tasks)
    running: dict[Any, Task] = {}

    def submit_next() -> None:
        task = next(waiting, None)
        if task is not None:
            parts = (task.submission, task.sandbox, task.limits, submitted_bytes(task.submission))
            # pure=False: two equal submissions are two students
            future = client.submit(_mark, sent[id(task.key)], *parts, pure=False)
            running[future] = task
            completed.add(future)

    for _ in range(most):
        submit_next()
    for future in completed:
        task = running.pop(future)
        try:
            result = future.result()
        except Exception as error:  # a worker that died, or one with another version of this package
            result = ungraded(
                task, f"a worker failed: {type(error).__name__}; grade again with --resume"
            )
        yield task, result
        submit_next()
