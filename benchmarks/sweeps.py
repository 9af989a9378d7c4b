"""Where the runs of a sweep happen: here one after the other, or on the workers of a Dask cluster.

A worker is a process that does one run at a time with one native thread, because a framework's random
state belongs to the whole process. Runs made side by side take longer each than runs made alone; so a
record that comes from a worker says how many workers there were.
"""

import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import measure

from mnist_course.errors import InputError

Recipe = dict[str, Any]
Run = Callable[[Recipe, int], dict[str, Any]]
"""Takes a recipe and a seed; returns at least ``test_correct`` and ``test_images``."""

Job = tuple[str, Recipe, int]
"""A variant's label, its recipe and a seed."""

Outcome = tuple[Job, dict[str, Any] | Exception]
"""A job with what its run found, or with what ended it."""

SECONDS_TO_CONNECT = 20
START_SCHEDULER = "PYTHONPATH=benchmarks dask scheduler"
START_WORKERS = "PYTHONPATH=benchmarks dask worker ADDRESS --nthreads 1"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}


def timed(run: Run, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return what a run found, with its seed, the seconds it took and the commit it was made with."""
    start = time.perf_counter()
    result = run(recipe, seed)
    spent = time.perf_counter() - start
    return {"seed": seed, **result, "seconds": spent, "commit": measure.commit()}


def one_by_one(jobs: Sequence[Job], run: Run) -> Iterator[Outcome]:
    """Do the jobs in this process; the first that fails ends all."""
    for job in jobs:
        _, recipe, seed = job
        yield job, timed(run, recipe, seed)


def on_processes(jobs: Sequence[Job], run: Run, workers: int) -> Iterator[Outcome]:
    """Do the jobs on at most `workers` processes of this machine; yield outcomes as they come.

    However this ends, the processes end with it.
    """
    import dask
    import distributed

    if not jobs:
        return
    workers = min(workers, len(jobs))
    library: Any = distributed  # not annotated
    # a run that kills its process is reported once; Dask would try it on three more
    settings = {"distributed.scheduler.allowed-failures": 0}
    with (
        tempfile.TemporaryDirectory() as folder,
        _environment({**ONE_THREAD, "TQDM_DISABLE": "1"}),
        dask.config.set(settings),
    ):
        with _ctrl_c_ignored():  # by the processes too, from their first moment
            started = library.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=None,
                local_directory=folder,
                silence_logs=logging.ERROR,
                preload=[__name__],
            )
        done = False
        try:
            with started as cluster, library.Client(cluster) as client:
                yield from _outcomes(client, jobs, run, workers)
                done = True
        except TimeoutError:  # on a busy machine processes may take long to end
            if not done:
                raise


def on_cluster(jobs: Sequence[Job], run: Run, scheduler: str) -> Iterator[Outcome]:
    """Do the jobs on the workers that have joined the scheduler at that address.

    All of its processes need a checkout of this commit and its folder ``benchmarks`` on their path.

    Raises
    ------
    InputError
        Nothing answers there, no worker has joined, a worker has several threads, or the code there is
        missing or another.
    """
    import distributed

    library: Any = distributed
    try:
        client = library.Client(scheduler, timeout=SECONDS_TO_CONNECT)
    except (OSError, ValueError) as error:
        raise InputError(f"no scheduler answers at {scheduler}; start one: {START_SCHEDULER}") from error
    with client:
        threads = client.nthreads()
        if not threads:
            raise InputError(f"the scheduler at {scheduler} has no workers; start some: {START_WORKERS}")
        if max(threads.values()) > 1:
            raise InputError(
                f"a worker has {max(threads.values())} threads; start it so: {START_WORKERS}"
            )
        try:
            commits = {client.run_on_scheduler(measure.commit), *client.run(measure.commit).values()}
        except Exception as error:  # Dask sends on what it was as text
            raise InputError(
                f"the cluster cannot load the benchmarks ({error}); start it in a checkout:"
                f" {START_SCHEDULER}; {START_WORKERS}"
            ) from None
        if commits != {measure.commit()}:
            raise InputError(
                f"the cluster's code is of commit {', '.join(sorted(commits))} and this one of"
                f" {measure.commit()}; update the checkouts there and start it again"
            )
        yield from _outcomes(client, jobs, run, len(threads))


def _outcomes(client: Any, jobs: Sequence[Job], run: Run, workers: int) -> Iterator[Outcome]:
    """Keep one job per worker on the cluster, so that a process which dies takes no other job along."""
    from distributed import KilledWorker, as_completed

    waiting = iter(jobs)
    running: dict[Any, Job] = {}
    completed = as_completed()

    def submit_next() -> None:
        job = next(waiting, None)
        if job is not None:
            _, recipe, seed = job
            future = client.submit(_timed_on_worker, run, recipe, seed, workers, pure=False)
            running[future] = job
            completed.add(future)

    for _ in range(workers):
        submit_next()
    for future in completed:
        job = running.pop(future)
        try:
            found: dict[str, Any] | Exception = future.result()
        except KilledWorker:
            found = ChildProcessError("its worker died")
        except Exception as error:  # the run's own
            found = error
        future.release()  # else a worker's death would have it done again
        yield job, found
        submit_next()


def _timed_on_worker(run: Run, recipe: Recipe, seed: int, workers: int) -> dict[str, Any]:
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    return {**timed(run, recipe, seed), "threads": threads, "workers": workers}


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Ignore Ctrl-C here and in the processes that are started meanwhile."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def dask_setup(_: Any) -> None:
    """Leave Ctrl-C to the process that started this one, in a worker that replaces a dead one too.

    Dask calls this in every worker it preloads.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
