"""What a sweep over Dask's workers promises, with real processes.

Every test here starts workers, each of which imports NumPy, Dask and the package first: some seconds.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import measure
import over_seeds
import psutil
import pytest
import sweeps
from distributed import LocalCluster

from mnist_course.data import write_idx

BENCHMARKS = Path(measure.__file__).parent

TINY = {
    "framework": "numpy", "model": "simple_cnn", "optimizer": "adam", "learning_rate": 3e-3,
    "batch_size": 32, "epochs": 1,
}  # fmt: skip


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    return tmp_path / "results/x.json"


@pytest.fixture
def few_digits(tmp_path, monkeypatch, train_digits, test_digits):
    """MNIST_COURSE_DATA with 600 training and 200 test images, here and in every worker."""
    for prefix, digits in (("train", train_digits), ("t10k", test_digits)):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte", digits.images)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte", digits.labels)
    monkeypatch.setenv("MNIST_COURSE_DATA", str(tmp_path))


def sweep(monkeypatch, results, variants, *options, **settings):
    monkeypatch.setattr(sys, "argv", ["benchmarks/x.py", *options])
    over_seeds.main("x", variants, packages=["numpy"], seeds=range(2), **settings)
    return json.loads(results.read_text())


def without_times(result):
    """Return what the runs found, by variant."""
    ignored = {"seconds", "threads", "workers", "commit"}
    return {
        label: [{key: run[key] for key in run.keys() - ignored} for run in variant["runs"]]
        for label, variant in result["variants"].items()
    }


def test_two_workers_find_what_one_process_finds(few_digits, results, monkeypatch):
    variants = {"slow": TINY, "fast": {**TINY, "learning_rate": 6e-3}}
    expected = sweep(monkeypatch, results, variants)
    results.unlink()
    found = sweep(monkeypatch, results, variants, "--workers", "2")
    assert list(found["variants"]) == ["slow", "fast"]
    for label, runs in without_times(expected).items():
        for run, other in zip(runs, without_times(found)[label], strict=True):
            assert other["seed"] == run["seed"]
            assert other["test_correct"] == pytest.approx(run["test_correct"], abs=2)
            assert other["train_loss"] == pytest.approx(run["train_loss"], rel=1e-4)
    runs = [run for variant in found["variants"].values() for run in variant["runs"]]
    assert {(run["threads"], run["workers"]) for run in runs} == {(1, 2)}
    assert found["threads"] == 1
    assert found["command"] == "python benchmarks/x.py --workers 2"


def test_a_failing_and_a_dying_run_cost_the_others_nothing(results, monkeypatch, capsys):
    def run(recipe, seed):
        if seed == 1 and recipe["kind"] == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == 1 and recipe["kind"] == "fails":
            raise ValueError("no such layer")
        return {"test_correct": seed, "test_images": 10}

    variants = {kind: {"kind": kind} for kind in ("dies", "fails", "works")}
    with pytest.raises(SystemExit, match="2 of 6 runs failed; the same command tries these again"):
        sweep(monkeypatch, results, variants, "--workers", "2", run=run)
    errors = capsys.readouterr().err
    assert "dies, seed 1 failed: ChildProcessError: its worker died" in errors
    assert "fails, seed 1 failed: ValueError: no such layer" in errors
    found = without_times(json.loads(results.read_text()))
    assert {label: [run["seed"] for run in runs] for label, runs in found.items()} == {
        "dies": [0], "fails": [0], "works": [0, 1],
    }  # fmt: skip
    # nothing is missing any more when these two can be done
    done = sweep(monkeypatch, results, variants, run=lambda *_: {"test_correct": 1, "test_images": 10})
    assert [run["seed"] for run in done["variants"]["dies"]["runs"]] == [0, 1]


SCRIPT = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {benchmarks!r})
import measure, over_seeds
measure.RESULTS = Path({results!r})

def run(recipe, seed):
    if seed:
        Path({started!r}).touch()
        time.sleep(600)
    return {{"test_correct": 1, "test_images": 10}}

if __name__ == "__main__":
    over_seeds.main("x", {{"one": {{}}}}, packages=["numpy"], run=run, seeds=range(3))
"""


@pytest.mark.slow
def test_ctrl_c_leaves_what_is_done_and_no_process(tmp_path, results):
    """Dask waits 4 s for a busy worker before it kills it; in a terminal all get the Ctrl-C at once."""
    script, started = tmp_path / "x.py", tmp_path / "started"
    script.write_text(
        SCRIPT.format(benchmarks=str(BENCHMARKS), results=str(results.parent), started=str(started))
    )
    command = [sys.executable, str(script), "--workers", "2"]
    running = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    while not (started.exists() and results.exists()):
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.1)
    workers = psutil.Process(running.pid).children(recursive=True)
    assert len(workers) >= 2
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert errors.splitlines()[-1].startswith("interrupted;")
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == []
    assert [run["seed"] for run in json.loads(results.read_text())["variants"]["one"]["runs"]] == [0]


def test_a_cluster_at_an_address_does_the_runs(results, monkeypatch):
    def run(recipe, seed):
        return {"test_correct": seed, "test_images": 10, "process": os.getpid()}

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        found = sweep(
            monkeypatch, results, {"one": {}}, "--scheduler", cluster.scheduler_address, run=run
        )
    runs = found["variants"]["one"]["runs"]
    assert [run["test_correct"] for run in runs] == [0, 1]
    assert os.getpid() not in {run["process"] for run in runs}


def test_workers_that_share_a_random_state_are_refused(results, monkeypatch):
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        pytest.raises(SystemExit, match=r"a worker has 2 threads; start it so: .*--nthreads 1"),
    ):
        sweep(monkeypatch, results, {"one": {}}, "--scheduler", cluster.scheduler_address)


def test_a_cluster_with_other_code_is_refused(results, monkeypatch):
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        monkeypatch.setattr(measure, "commit", lambda: f"c{os.getpid()}")
        expected = f"this one of c{os.getpid()}; update the checkouts"
        with pytest.raises(SystemExit, match=expected):
            sweep(monkeypatch, results, {"one": {}}, "--scheduler", cluster.scheduler_address)


def test_no_scheduler_is_one_line(results, monkeypatch):
    monkeypatch.setattr(sweeps, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(SystemExit, match=r"no scheduler answers at 127\.0\.0\.1:9; start one"):
        sweep(monkeypatch, results, {"one": {}}, "--scheduler", "127.0.0.1:9")


@pytest.mark.parametrize("options", [["--workers", "0"], ["--workers", "2", "--scheduler", "x:1"]])
def test_unusable_options_are_refused(options, results, monkeypatch):
    with pytest.raises(SystemExit) as refused:
        sweep(monkeypatch, results, {"one": {}}, *options)
    assert refused.value.code == 2


@contextmanager
def ending_late(**_):
    yield
    raise TimeoutError


@pytest.mark.parametrize("finished", [True, False])
def test_processes_that_end_late_spoil_only_a_sweep_that_is_not_done(finished, monkeypatch):
    def outcomes(client, jobs, run, workers):
        yield from ((job, {}) for job in jobs)
        if not finished:
            raise TimeoutError

    monkeypatch.setattr("distributed.LocalCluster", ending_late)
    monkeypatch.setattr("distributed.Client", nullcontext)
    monkeypatch.setattr(sweeps, "_outcomes", outcomes)
    found = sweeps.on_processes([("a", {}, 0)], None, workers=1)
    if finished:
        assert list(found) == [(("a", {}, 0), {})]
    else:
        with pytest.raises(TimeoutError):
            list(found)
