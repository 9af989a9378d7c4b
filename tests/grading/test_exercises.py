"""Every exercise keeps what it promises: its solution, its stub, its misconceptions.

Slow, because every promise is proved by running kernels under seeds that nobody chose: three of them, or
as many as ``--seeds`` says.
"""

import ast
import secrets
from functools import cache

import nbformat
import pytest
from submitting import EXERCISES, as_bytes, released, solved

from mnist_course.grading.answers import answer
from mnist_course.grading.comparison import compare
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.inputs import PUBLIC_SEED
from mnist_course.grading.lint import lint
from mnist_course.grading.marking import mark
from mnist_course.grading.release import OPENING_CELL, student_version
from mnist_course.grading.sandbox import available

PATHS = sorted(EXERCISES.glob("[0-9]*.ipynb"))
pytestmark = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def pytest_generate_tests(metafunc):
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(metafunc.config.getoption("--seeds")))


@cache
def fresh_seed(number):
    """A seed by its number, because pytest's workers must agree on the names of the tests."""
    return secrets.randbits(128)


@pytest.fixture(scope="module")
def key_of():
    keys = {}

    def key(path, seed):
        if (path, seed) not in keys:
            keys[path, seed] = answer(Exercise.load(path), seed)
        return keys[path, seed]

    return key


def test_the_lint_finds_nothing(path):
    assert lint(Exercise.load(path)) == []


def test_the_name_is_the_file_name(path):
    assert Exercise.load(path).name == path.stem


def test_there_are_enough_probes_misconceptions_and_hints(path):
    exercise = Exercise.load(path)
    assert 5 <= len(exercise.probes) <= 8
    assert len(exercise.misconceptions) >= 3
    assert all(len(probe.ours["hints"]) >= 2 for probe in exercise.probes)


def test_every_misconception_says_a_sentence(path):
    for cell in Exercise.load(path).misconceptions:
        assert len(cell.ours["says"].split()) > 5
        assert cell.ours["says"].endswith((".", "!", "?"))


def test_the_source_is_a_valid_notebook_with_stored_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count is not None, f"{cell.id} was not executed"


def test_the_student_version_is_a_valid_notebook_without_answers(path, key_of):
    exercise = Exercise.load(path)
    student = student_version(key_of(path, PUBLIC_SEED))
    nbformat.validate(nbformat.from_dict(student))
    text = as_bytes(
        {**student, "cells": [c for c in student["cells"] if c["id"] != OPENING_CELL]}
    ).decode()
    assert "SOLUTION" not in text
    assert not {cell.id for cell in exercise.misconceptions} & {cell["id"] for cell in student["cells"]}
    for cell in exercise.solutions:
        assert all(line not in text for line in solution_lines(cell.source))


def solution_lines(source):
    """The lines of a solution that are long enough to be nobody else's."""
    lines, inside = [], False
    for line in source.splitlines():
        inside = (inside or "### BEGIN" in line) and "### END" not in line
        if inside and len(line.strip()) > 25:
            lines.append(line.strip().replace('"', '\\"'))
    return lines


def test_the_student_version_still_defines_every_name(path):
    for cell in Exercise.load(path).solutions:
        assert ast.dump(ast.parse(cell.stub)) != ast.dump(ast.parse(cell.source))
        assert "NotImplementedError" in cell.stub


def test_the_solution_earns_full_marks_under_a_fresh_seed(path, number, key_of):
    key = key_of(path, fresh_seed(number))
    result = mark(key, as_bytes(solved(key.exercise)), sandbox=available())
    assert result.points == result.of == key.exercise.points, (key.seed, result)


def test_the_stub_earns_nothing_and_hears_a_kind_word(path, key_of):
    key = key_of(path, fresh_seed(0))
    result = mark(key, as_bytes(released(key.exercise)), sandbox=available())
    assert result.points == 0
    assert all(probe.message.startswith("not written yet: ") for probe in result.probes), result


def test_every_misconception_is_caught_and_named_under_a_fresh_seed(path, number, key_of):
    key = key_of(path, fresh_seed(number))
    named = {
        mistake.name
        for keyed in key.probes.values()
        for mistake in keyed.mistakes
        if keyed.judge(mistake.value).misconception == mistake.name
    }
    assert named == {cell.name for cell in key.exercise.misconceptions}, key.seed


def test_another_seed_asks_for_other_values(path, key_of):
    """One of two others, because a list of verdicts may by chance come out the same once."""
    first, *others = (key_of(path, fresh_seed(number)) for number in range(3))
    for name, keyed in first.probes.items():
        if keyed.at_least is None and not isinstance(keyed.expected, str | None):
            values = [other.probes[name].expected for other in others]
            assert any(compare(value, keyed.expected, keyed.tolerance) for value in values), name
