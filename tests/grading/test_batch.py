"""A class: graded once each, whatever happens to the run and to the others."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from submitting import answered, as_bytes, released, solved

from mnist_course.errors import InputError
from mnist_course.grading import marking, running, workers
from mnist_course.grading.authoring import template
from mnist_course.grading.batch import grade_class
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.limits import Limits
from mnist_course.grading.reports import grades_json, write_reports
from mnist_course.grading.submissions import find_submissions, slug

SEED = 2**127 + 5


def spread(body):
    return {"spread": f"def spread(values):\n    {body}"}


def hand_in(folder, **notebooks):
    folder.mkdir(exist_ok=True)
    for name, notebook in notebooks.items():
        (folder / f"{name}.ipynb").write_bytes(as_bytes(notebook))
    return folder


def four(small, folder):
    """Alice knows it, Bob divided by N, Carl wrote nothing, Dora kills her kernel."""
    return hand_in(
        folder / "class",
        alice=solved(small),
        bob=answered(small, spread("return np.std(values)")),
        carl=released(small),
        dora=answered(small, spread("import os; os._exit(0)")),
    )


@pytest.fixture
def class_of_four(small, tmp_path):
    return four(small, tmp_path)


POINTS = {"alice": 2, "bob": 0, "carl": 0, "dora": 0}


def grade(small, folder, out, **options):
    submissions, problems = find_submissions(folder, [small.name])
    assert problems == []
    options = {"seed": SEED, "sandbox": None, "progress": False, **options}
    return grade_class({small.name: small}, submissions, out, **options)


def points(run):
    return {grade.student: grade.result.points for grade in run.grades}


def without_times(run):
    """All that a grade says but the seconds it took."""
    return [
        dataclasses.replace(grade, result=dataclasses.replace(grade.result, seconds=0))
        for grade in run.grades
    ]


@pytest.fixture(scope="module")
def expected(small, tmp_path_factory):
    """What one process makes of the class of four under `SEED`."""
    folder = tmp_path_factory.mktemp("whole")
    return without_times(grade(small, four(small, folder), folder / "out"))


def test_everybody_gets_their_points(expected):
    assert {grade.student: grade.result.points for grade in expected} == POINTS


def test_two_processes_give_the_same_grades_as_one(small, class_of_four, tmp_path, expected):
    assert without_times(grade(small, class_of_four, tmp_path / "out", workers=2)) == expected


def test_a_regrade_with_the_recorded_seed_gives_the_same_grades(small, tmp_path):
    folder = hand_in(tmp_path / "class", bob=answered(small, spread("return np.std(values)")))
    first = grade(small, folder, tmp_path / "first", seed=None)
    write_reports(first, tmp_path / "first")
    recorded = json.loads((tmp_path / "first" / "grades.json").read_text())["seed"]
    again = grade(small, folder, tmp_path / "again", seed=int(recorded, 16))
    assert without_times(again) == without_times(first)


def test_a_fresh_seed_is_fresh(small, tmp_path):
    seeds = {grade_class({}, [], tmp_path / str(n), sandbox=None, progress=False).seed for n in range(3)}
    assert len(seeds) == 3
    assert max(seeds) > 2**100


def test_grades_are_not_overwritten_by_accident(small, class_of_four, tmp_path):
    grade_class({}, [], tmp_path / "out", sandbox=None, progress=False)
    with pytest.raises(InputError, match="use --resume, or another folder"):
        grade(small, class_of_four, tmp_path / "out")


def test_resuming_under_another_seed_is_refused(tmp_path):
    grade_class({}, [], tmp_path, sandbox=None, seed=1, progress=False)
    with pytest.raises(InputError, match="was graded under the seed 0x1"):
        grade_class({}, [], tmp_path, sandbox=None, seed=2, resume=True, progress=False)


def test_resuming_grades_only_what_is_missing_or_changed(small, class_of_four, tmp_path, monkeypatch):
    first = grade(small, class_of_four, tmp_path / "out")
    (tmp_path / "out" / "results" / f"{small.name}-{slug('alice')}.json").unlink()
    (class_of_four / "carl.ipynb").write_bytes(as_bytes(solved(small)))
    graded = []
    real = workers.mark_submission

    def counted(task, data):
        graded.append(task.submission.student)
        return real(task, data)

    monkeypatch.setattr(workers, "mark_submission", counted)
    again = grade(small, class_of_four, tmp_path / "out", seed=None, resume=True)
    assert graded == ["alice", "carl"]
    assert again.seed == first.seed
    assert points(again) == POINTS | {"carl": 2}


KILLED = """
import sys
from mnist_course.grading.batch import grade_class
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.submissions import find_submissions
if __name__ == "__main__":
    source, folder, out = sys.argv[1:]
    small = Exercise.load(source)
    submissions, _ = find_submissions(folder, [small.name])
    grade_class({small.name: small}, submissions, out, sandbox=None, seed=%d, workers=2)
"""


def test_a_run_killed_with_kill_9_and_resumed_gives_the_same_grades(
    small, small_path, class_of_four, tmp_path, expected
):
    script = tmp_path / "grade.py"
    script.write_text(KILLED % SEED)
    out = tmp_path / "out"
    command = [sys.executable, script, small_path, class_of_four, out]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob("results/[!.]*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list(out.glob("results/[!.]*.json")))
    assert 1 <= done < 4
    assert without_times(grade(small, class_of_four, out, seed=None, resume=True)) == expected


def test_an_exercise_whose_own_solution_fails_costs_only_its_own_submissions(
    small, class_of_four, tmp_path
):
    other = Exercise.load(template("01_broken").write(tmp_path))
    cells = [dataclasses.replace(c, source="1 / 0") if c.id == "spread" else c for c in other.cells]
    other = dataclasses.replace(other, cells=tuple(cells))
    (class_of_four / "zoe.ipynb").write_bytes(as_bytes(solved(other)))
    submissions, _ = find_submissions(class_of_four, [small.name, other.name])
    exercises = {small.name: small, other.name: other}
    run = grade_class(exercises, submissions, tmp_path / "out", sandbox=None, seed=SEED, progress=False)
    assert points(run) == POINTS
    assert [problem.path for problem in run.problems] == ["zoe.ipynb"]
    assert "01_broken: its own solution fails in the cell spread" in run.problems[0].why


def test_a_kernel_that_never_starts_is_reported_and_the_rest_graded(
    small, class_of_four, tmp_path, monkeypatch
):
    real = running.run_cells

    def unlucky(sources, **options):
        if any("os._exit" in source for source in sources):
            raise running.KernelNeverStarted("no room")
        return real(sources, **options)

    monkeypatch.setattr(marking, "run_cells", unlucky)
    run = grade(small, class_of_four, tmp_path / "out")
    assert points(run) == POINTS | {"dora": None}
    resumed = grade(small, class_of_four, tmp_path / "out", seed=None, resume=True)
    assert points(resumed)["dora"] is None, "it is tried again, and fails again"


def test_a_bug_of_ours_costs_nobody_a_grade(small, class_of_four, tmp_path, monkeypatch):
    real = workers.mark

    def buggy(key, data, **options):
        if b"os._exit" in data:
            raise RuntimeError("a bug")
        return real(key, data, **options)

    monkeypatch.setattr(workers, "mark", buggy)
    run = grade(small, class_of_four, tmp_path / "out")
    assert points(run) == POINTS | {"dora": None}
    dora = next(grade for grade in run.grades if grade.student == "dora")
    assert dora.result.notes == ("the grader failed: RuntimeError: a bug",)


def test_a_worker_process_that_dies_costs_nobody_else_a_grade(small, class_of_four, tmp_path):
    # student code without a sandbox may kill the process that judges it: here it kills its parent
    killer = "import os, signal\n    os.kill(os.getppid(), signal.SIGKILL)"
    (class_of_four / "dora.ipynb").write_bytes(as_bytes(answered(small, spread(killer))))
    run = grade(small, class_of_four, tmp_path / "out", workers=2)
    assert points(run) == POINTS | {"dora": None}
    dora = next(grade for grade in run.grades if grade.student == "dora")
    assert dora.result.notes == ("the grading process died; grade again with --resume",)


def test_the_limits_reach_every_submission(small, class_of_four, tmp_path):
    slow = answered(small, spread("import time; time.sleep(60)"))
    (class_of_four / "dora.ipynb").write_bytes(as_bytes(slow))
    run = grade(small, class_of_four, tmp_path / "out", limits=Limits(seconds=1.5))
    assert points(run) == POINTS
    dora = next(grade for grade in run.grades if grade.student == "dora")
    assert dora.result.notes[-1] == "the run ended early: the time was up"


CROWD = """
import os, pathlib, time
folder = pathlib.Path({folder!r})
(folder / "crowded").write_text("")
kernel = os.getpid()
for _ in range(48 * os.cpu_count()):
    if os.fork() == 0:
        os.setsid()
        while os.getppid() == kernel: pass
        os._exit(0)
def spread(values): time.sleep(60)
"""
WORKER = """
import pathlib, time
import numpy as np
folder = pathlib.Path({folder!r})
with (folder / "alice").open("a") as runs: runs.write("x")
while not (folder / "crowded").exists(): time.sleep(0.01)
used = time.thread_time()
while time.thread_time() < used + 1: pass
def spread(values): return np.std(values, ddof=1)
"""
SLEEPER = """
import pathlib, time
with pathlib.Path({folder!r}, "dora").open("a") as runs: runs.write("x")
time.sleep(60)
"""


def test_who_lost_the_time_to_a_crowd_runs_once_more_and_who_slept_does_not(small, tmp_path):
    sources = {"alice": WORKER, "crowd": CROWD, "dora": SLEEPER}
    notebooks = {
        name: answered(small, {"spread": source.format(folder=str(tmp_path))})
        for name, source in sources.items()
    }
    folder = hand_in(tmp_path / "class", **notebooks)
    run = grade(small, folder, tmp_path / "out", workers=3, limits=Limits(seconds=10))
    assert points(run) == {"alice": 2, "crowd": 0, "dora": 0}
    assert (tmp_path / "alice").read_text() == "xx"
    assert (tmp_path / "dora").read_text() == "x"


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_are_refused(workers, tmp_path):
    with pytest.raises(InputError, match="expected at least 1"):
        grade_class({}, [], tmp_path, sandbox=None, workers=workers)


def test_a_cluster_gives_the_same_grades(small, class_of_four, tmp_path, expected):
    from distributed import LocalCluster

    with LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        run = grade(small, class_of_four, tmp_path / "out", scheduler=cluster.scheduler_address)
    assert without_times(run) == expected


def test_a_cluster_gets_the_key_once(small, class_of_four, tmp_path, monkeypatch):
    from distributed import Client, LocalCluster

    sent, submitted = [], []
    scatter, submit = Client.scatter, Client.submit

    def scattered(client, data, **options):
        sent.extend(data)
        return scatter(client, data, **options)

    def recorded(client, function, *arguments, **options):
        submitted.append({type(argument).__name__ for argument in arguments})
        return submit(client, function, *arguments, **options)

    monkeypatch.setattr(Client, "scatter", scattered)
    monkeypatch.setattr(Client, "submit", recorded)
    with LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        grade(small, class_of_four, tmp_path / "out", scheduler=cluster.scheduler_address)
    assert [type(one).__name__ for one in sent] == ["Key"]
    assert len(submitted) == 4
    assert set.union(*submitted) == {"Future", "Submission", "NoneType", "bytes"}


def test_a_cluster_that_does_not_answer_is_named(small, class_of_four, tmp_path, monkeypatch):
    monkeypatch.setattr("mnist_course.grading.cluster.SECONDS_TO_CONNECT", 1)
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        grade(small, class_of_four, tmp_path / "out", scheduler="tcp://127.0.0.1:9")


def test_grades_json_names_seed_versions_and_every_verdict(small, class_of_four, tmp_path):
    content = grades_json(grade(small, class_of_four, tmp_path / "out"))
    assert content["seed"] == hex(SEED)
    assert set(content["versions"]) >= {"numpy", "mnist-course"}
    assert content["exercises"] == {small.name: {"points": 2, "sha256": small.digest}}
    bob = next(entry for entry in content["grades"] if entry["student"] == "bob")
    assert bob["probes"][0]["misconception"] == "spread-population"
