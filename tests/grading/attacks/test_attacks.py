"""A class of hostile submissions and innocent neighbours, graded in one run on two processes.

Slow, because every attack is really made: some last until their deadline, some fill memory or disk.
"""

import csv
import fcntl
import hashlib
import json
import os
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from attacks.breaking import BREAKING, ENDLESS
from attacks.faking import FAKING
from attacks.files import FILES, NAMES, SCRIPT
from attacks.fortress import fortress
from attacks.stealing import STEALING
from submitting import answered, as_bytes, released, solved

import mnist_course
from mnist_course.data import load_fashion_mnist
from mnist_course.grading import running, sandbox
from mnist_course.grading.answers import answer
from mnist_course.grading.batch import grade_class
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.limits import Limits
from mnist_course.grading.marking import mark
from mnist_course.grading.reports import write_reports
from mnist_course.grading.sandbox.doctor import processes_named
from mnist_course.grading.sandbox.supervisor import room
from mnist_course.grading.submissions import find_submissions

pytestmark = pytest.mark.slow

SEED = 0xFEED << 100
SECONDS = 8  # an honest submission needs one of them; what is late is graded again, alone
LIMITS = Limits(seconds=SECONDS, memory=1 << 30, disk_bytes=64 << 20, file_bytes=32 << 20)
SECRET, MARKER = "s3cr3t-of-the-grader", "mnist-course-attack"
INNOCENT = ("a-innocent", "m-innocent", "z-innocent")
ATTACKS = FAKING | STEALING | BREAKING
ANSWER = "def spread(values): return np.std(values, ddof=1)"


class Server(threading.Thread):
    """Gives the answer to whoever connects, and counts them."""

    def __init__(self):
        super().__init__(daemon=True)
        self.visitors = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def run(self):
        while True:
            try:
                visitor, _ = self.listening.accept()
            except OSError:
                return
            self.visitors += 1
            visitor.sendall(ANSWER.encode())
            visitor.close()


def filled(source, places):
    for name, value in places.items():
        source = source.replace(f"<<{name}>>", str(value))
    return source


def digest(folder):
    """Everything below a folder: names, kinds and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            found[str(path)] = str(path.lstat().st_mode)
        else:
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def poisoned():
    """Traces of what an attack writes into the environment, in every folder that Python imports from."""
    folders = [Path(folder) for folder in (*sys.path, sys.prefix, Path(os.__file__).parent) if folder]
    made = [folder / name for folder in folders for name in ("poison.pth", "sitecustomize.py")]
    changed = [Path(np.__file__), Path(mnist_course.__file__)]
    return [str(path) for path in (*made, *changed) if path.is_file() and "POISONED" in path.read_text()]


def hand_in(folder, exercise, places):
    """Write all submissions; attackers are called after their attack."""
    notebook = released(exercise)
    for name in INNOCENT:
        (folder / f"{name}.ipynb").write_bytes(as_bytes(solved(exercise)))
    for name, cells in ATTACKS.items():
        cells = {cell: filled(source, places) for cell, source in cells.items()}
        (folder / f"{name.replace('/', ' ')}.ipynb").write_bytes(as_bytes(answered(exercise, cells)))
    for name, write in FILES.items():
        write(folder / f"{name}.ipynb", json.loads(filled(json.dumps(notebook), places)))
        path = folder / f"{name}.ipynb"
        if path.is_symlink():
            target = filled(str(path.readlink()), places)
            path.unlink()
            path.symlink_to(target)
    empty = as_bytes({**notebook, "cells": []})  # refused without a kernel: here the name is the attack
    for name in (*NAMES, os.fsdecode(b"\xff\xfe")):
        (folder / f"{name}.ipynb").write_bytes(empty)


def scene(tmp_path):
    """Folders, the exercise, a server, and what the attackers know about them."""
    folders = {name: tmp_path / name for name in ("exercises", "class", "out", "writable", "temporary")}
    for folder in folders.values():
        folder.mkdir()
        folder.chmod(0o777)
    tmp_path.chmod(0o755)
    exercise = Exercise.load(fortress().write(folders["exercises"]))
    server = Server()
    server.start()
    places = {
        **folders,
        "checkout": Path(__file__).parents[3],
        "labels": "".join(map(str, load_fashion_mnist("test").labels)),
        "secret": SECRET,
        "marker": MARKER,
        "port": server.port,
    }
    return folders, exercise, server, places


def attack(tmp_path, monkeypatch):
    """Grade them all; return what the tests below ask about, as JSON."""
    folders, exercise, server, places = scene(tmp_path)
    hand_in(folders["class"], exercise, places)
    monkeypatch.setenv("MNIST_COURSE_SECRET", SECRET)
    monkeypatch.setenv("TMPDIR", str(folders["temporary"]))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = digest(folders["class"]), digest(folders["exercises"])
    submissions, problems = find_submissions(folders["class"], [exercise.name])
    run = grade_class(
        {exercise.name: exercise},
        submissions,
        folders["out"],
        sandbox=sandbox.available(),
        seed=SEED,
        workers=2,
        limits=LIMITS,
        progress=False,
    )
    run.problems = [*problems, *run.problems]
    server.listening.close()
    write_reports(run, folders["out"])
    after = digest(folders["class"]), digest(folders["exercises"])
    pages = [path.read_text("utf-8") for path in folders["out"].rglob("*.html")]
    return {
        "results": {grade.student: grade.result.to_json() for grade in run.grades},
        "problems": {problem.path: problem.why for problem in run.problems},
        "unchanged": [old == new for old, new in zip(before, after, strict=True)],
        "poisoned": poisoned(),
        "visitors": server.visitors,
        "temporary": [path.name for path in folders["temporary"].iterdir()],
        "writable": [path.name for path in folders["writable"].iterdir()],
        "out": sorted({path.name for path in folders["out"].iterdir()}),
        "left": processes_named(MARKER) + orphans_of_sandboxes(),
        "scripts": sum(page.count(filled(SCRIPT, places)[:20]) for page in pages),
        "leaks": sum(page.count(SECRET) for page in pages),
        "rows": (folders["out"] / "grades.csv").read_text("utf-8"),
        "exercise": {"points": exercise.points},
    }


def orphans_of_sandboxes():
    """Processes of a sandbox's own user that nobody watches any more."""
    left = []
    for process in psutil.process_iter(["uids", "ppid"]):
        uids = process.info["uids"]
        if uids is not None and uids.real in room.UIDS and process.info["ppid"] == 1:
            left.append(process.pid)
    return left


@pytest.fixture(scope="module")
def graded(tmp_path_factory, worker_id):
    """Attack once, however many processes run these tests."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    with (shared / "attacks.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = shared / "attacks.json"
        if not known.exists():
            result = attack(tmp_path_factory.mktemp("attacks"), patch)
            known.write_text(json.dumps(result))
        return json.loads(known.read_text())


def result_of(graded, name):
    return graded["results"][name]


def test_there_are_enough_attacks():
    assert len(ATTACKS) + len(FILES) + len(NAMES) >= 100


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_earns_nothing(graded, name):
    result = result_of(graded, name)
    assert result["status"] == "graded"
    assert result["points"] == 0


@pytest.mark.parametrize("name", FILES)
def test_file_earns_nothing(graded, name):
    shown = f"{name}.ipynb"
    if shown not in graded["problems"] and name in graded["results"]:
        result = graded["results"][name]
        assert result["status"] in ("graded", "refused")
        assert not result["points"]
    elif name != "folder":
        assert shown in graded["problems"]


def test_nobody_but_the_innocent_has_points(graded):
    having = {student for student, result in graded["results"].items() if result["points"]}
    assert having == set(INNOCENT)


@pytest.mark.parametrize("name", INNOCENT)
def test_innocent_neighbour_has_full_marks(graded, name):
    result = graded["results"][name]
    assert result["points"] == graded["exercise"]["points"]
    assert result["notes"] == []


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_submission_is_ended(graded, name):
    notes = " ".join(result_of(graded, name)["notes"])
    assert "the run ended early" in notes or "MemoryError" in notes


def test_no_submission_is_missing(graded):
    expected = set(ATTACKS) | set(INNOCENT)
    assert expected <= set(graded["results"])


def test_strange_names_stay_apart(graded):
    """As many students as names: none takes the place of another, none has vanished."""
    others = set(graded["results"]) - set(ATTACKS) - set(INNOCENT) - set(FILES)
    twins = [why for why in graded["problems"].values() if "submissions of one student" in why]
    assert len(others) + len(twins) == len(NAMES) + 1


def test_no_process_is_left(graded):
    assert graded["left"] == []


def test_no_file_is_left(graded):
    assert graded["temporary"] == []
    assert graded["writable"] == []


def test_submissions_and_exercises_are_unchanged(graded):
    assert graded["unchanged"] == [True, True]


def test_nothing_is_written_into_the_environment(graded):
    assert graded["poisoned"] == []


def test_output_folder_holds_the_reports_and_nothing_else(graded):
    expected = {"feedback", "grades.csv", "grades.json", "results", "run.json", "summary.html"}
    assert set(graded["out"]) == expected


def test_nobody_reached_the_network(graded):
    assert graded["visitors"] == 0


def test_no_page_contains_a_students_script(graded):
    assert graded["scripts"] == 0


def test_no_page_contains_the_graders_secret(graded):
    assert graded["leaks"] == 0


def test_spreadsheet_has_no_cell_that_begins_like_a_formula(graded):
    cells = [cell for row in csv.reader(graded["rows"].splitlines()) for cell in row]
    assert [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t", "\r")] == []


def test_innocent_submission_alone_gets_the_same_result(graded, tmp_path):
    exercise = Exercise.load(fortress().write(tmp_path))
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "m-innocent.ipynb").write_bytes(as_bytes(solved(exercise)))
    submissions, _ = find_submissions(tmp_path / "class", [exercise.name])
    run = grade_class(
        {exercise.name: exercise},
        submissions,
        tmp_path / "out",
        sandbox=sandbox.available(),
        seed=SEED,
        limits=LIMITS,
        progress=False,
    )
    alone = replace(run.grades[0].result, seconds=0).to_json()
    among = {**graded["results"]["m-innocent"], "seconds": 0}
    assert json.loads(json.dumps(alone)) == among


POTENT = (
    "the solution in the exercises",
    "the neighbour's submission",
    "the hidden module",
    "the hidden module by its file",
    "labels of the test images",
    "a server that knows",
)


@pytest.fixture(scope="module")
def defenceless(tmp_path_factory):
    """The same exercise and attackers, to be graded without a sandbox."""
    folders, exercise, server, places = scene(tmp_path_factory.mktemp("defenceless"))
    (folders["class"] / "m-innocent.ipynb").write_bytes(as_bytes(solved(exercise)))
    key = answer(exercise, SEED, limits=LIMITS)

    def earn(name):
        cells = {cell: filled(source, places) for cell, source in ATTACKS[name].items()}
        return mark(key, as_bytes(answered(exercise, cells)), sandbox=None, limits=LIMITS).points

    yield earn
    server.listening.close()


@pytest.mark.parametrize("name", POTENT)
def test_stealing_pays_without_a_sandbox(defenceless, name):
    """Else it would not be the sandbox that stops it."""
    assert defenceless(name) > 0


def test_labels_brought_along_would_pay_under_the_runs_own_seed(defenceless, monkeypatch):
    monkeypatch.setattr(running, "seed_inside", lambda seed: seed)
    assert defenceless("labels brought along, drawn again under the kernel's seed") > 0
