"""`mnist-course exercises` as it is typed."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from submitting import as_bytes, solved

from mnist_course.grading.notebooks import read_notebook, write_notebook


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "mnist_course", "exercises", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "TQDM_DISABLE": "1"},
        check=False,
    )


def assert_one_line(result, *words):
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A folder with one exercise and its released version."""
    folder = tmp_path_factory.mktemp("course")
    assert run("new", "00_small", cwd=folder).returncode == 0
    result = run("release", "released", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder


def write(folder, name, body):
    notebook = read_notebook(folder / "released" / "00_small.ipynb")
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace(
            'raise NotImplementedError("write spread(values)")', body
        )
    path = folder / name
    write_notebook(notebook, path)
    return path


def test_list_shows_what_there_is(course):
    lines = run("list", cwd=course).stdout.splitlines()
    assert lines[1].split() == ["00_small", "2", "1", "1", "Small"]


def test_new_does_not_overwrite(course):
    assert_one_line(run("new", "00_small", cwd=course), "exists; choose another name")


def test_new_refuses_a_name_that_is_none(course):
    assert_one_line(run("new", "no number", cwd=course), "is not like 02_convolution_arithmetic")


def test_a_released_notebook_is_valid_and_holds_no_solution(course):
    notebook = nbformat.read(course / "released" / "00_small.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert "values.size" not in (course / "released" / "00_small.ipynb").read_text()


def test_release_does_not_overwrite_the_sources(course):
    assert_one_line(run("release", "exercises", cwd=course), "release into another folder")


def test_a_folder_without_exercises_is_named(tmp_path):
    assert_one_line(run("list", cwd=tmp_path), "exercises holds no exercise", "--exercises")


def test_an_unknown_exercise_is_named(course):
    result = run("release", "x", "--exercise", "99_none", cwd=course)
    assert_one_line(result, "no exercise 99_none", "there are 00_small")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("return np.std(values, ddof=1)", 0, ["✓ spread", "1 of 1 checks are right"]),
        ("return np.std(values)", 1, ["✗ spread", "You divided by N", "0 of 1"]),
        ("raise NotImplementedError('later')", 1, ["✗ spread: NotImplementedError: later"]),
        ("import os; os._exit(1)", 1, ["the notebook did not run to its end: died"]),
    ],
)
def test_check_says_in_the_terminal_what_the_notebook_says(body, status, words, course, tmp_path):
    write_notebook(read_notebook(write(course, "mine.ipynb", body)), tmp_path / "mine.ipynb")
    result = run("check", "mine.ipynb", cwd=tmp_path)
    assert result.returncode == status, result.stderr
    for word in words:
        assert word in result.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF", "it is a PDF"),
        (b'{"nbformat": 4, "cells": []}', "a notebook that exercises release wrote"),
    ],
)
def test_check_of_something_else_says_what_it_is(content, words, tmp_path):
    (tmp_path / "n.ipynb").write_bytes(content)
    assert_one_line(run("check", "n.ipynb", cwd=tmp_path), words)


@pytest.fixture(scope="module")
def graded(course):
    """A class graded without a sandbox."""
    write(course, "class/alice.ipynb", "return np.std(values, ddof=1)")
    write(course, "class/bob.ipynb", "return np.std(values)")
    (course / "class" / "notes.pdf").write_bytes(b"%PDF")
    result = run("grade", "class", "--out", "out", "--unsandboxed", cwd=course)
    assert result.returncode == 0, result.stderr
    return result


def test_grade_writes_its_reports_and_names_what_it_left_out(graded, course):
    assert "graded 2 of 2 submissions under the seed 0x" in graded.stdout
    assert "not graded: notes.pdf: it is no notebook" in graded.stderr
    found = {path.name for path in (course / "out").iterdir()}
    assert {"grades.csv", "grades.json", "summary.html", "feedback"} <= found
    grades = json.loads((course / "out" / "grades.json").read_text())
    assert {one["student"]: one["points"] for one in grades["grades"]} == {"alice": 2, "bob": 0}


def test_grade_resumes_and_fills_a_gradebook(graded, course):
    book = course / "gradebook.db"
    options = ["--unsandboxed", "--resume", "--gradebook", f"sqlite:///{book}"]
    result = run("grade", "class", "--out", "out", *options, cwd=course)
    assert result.returncode == 0, result.stderr
    assert book.stat().st_size > 0


def test_grade_does_not_overwrite_grades(graded, course):
    result = run("grade", "class", "--out", "out", "--unsandboxed", cwd=course)
    assert_one_line(result, "use --resume, or another folder")


@pytest.mark.parametrize("seed", ["x", "-1", "1.5", hex(2**128)])
def test_a_seed_that_is_none_is_refused(seed, course):
    result = run("grade", "class", "--out", "new", "--unsandboxed", "--seed", seed, cwd=course)
    assert_one_line(result, "expected a number as grades.json records it")


def test_an_empty_class_is_refused_before_anything_is_written(course, tmp_path):
    (tmp_path / "empty").mkdir()
    options = ["--exercises", course / "exercises", "--unsandboxed"]
    result = run("grade", "empty", "--out", "out", *options, cwd=tmp_path)
    assert_one_line(result, "empty holds nothing")
    assert not (tmp_path / "out").exists()


def test_grade_without_a_sandbox_refuses_and_says_why(course, monkeypatch, small, tmp_path):
    from click.testing import CliRunner

    from mnist_course.errors import InputError
    from mnist_course.grading import sandbox
    from mnist_course.grading.commands import exercises

    monkeypatch.setattr(sandbox, "available", lambda: None)
    monkeypatch.setattr(sandbox, "reason", lambda: "no user namespaces")
    (tmp_path / "a.ipynb").write_bytes(as_bytes(solved(small)))
    arguments = ["grade", str(tmp_path), "--out", str(tmp_path / "out"), "--exercises"]
    result = CliRunner().invoke(exercises, [*arguments, str(course / "exercises")])
    assert isinstance(result.exception, InputError)
    assert "no sandbox works here: no user namespaces" in str(result.exception)
    assert "--unsandboxed" in str(result.exception)
