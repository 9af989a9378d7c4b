"""Scores in an nbgrader gradebook, read back through nbgrader."""

import pytest
from nbgrader.api import Gradebook

from mnist_course.errors import InputError
from mnist_course.grading.batch import ClassRun, Grade
from mnist_course.grading.gradebook import write_gradebook
from mnist_course.grading.marking import ProbeResult, Result


def run_with(small, **points):
    grades = []
    for student, given in points.items():
        if given is None:
            result = Result("not graded", None, 2.0)
        else:
            result = Result("graded", given, 2.0, (ProbeResult("spread", given, 2.0, given == 2),))
        grades.append(Grade(student, small.name, f"{student}.ipynb", result))
    return ClassRun(1, grades, [], {small.name: small})


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'gradebook.db'}"


def scores(url, name):
    with Gradebook(url) as book:
        return {one.student.id: (one.score, one.max_score) for one in book.assignment_submissions(name)}


def test_scores_arrive(small, url):
    assert write_gradebook(run_with(small, alice=2.0, bob=0.0), url) == 2
    assert scores(url, small.name) == {"alice": (2, 2), "bob": (0, 2)}


def test_a_submission_that_was_not_graded_gets_no_score(small, url):
    assert write_gradebook(run_with(small, alice=2.0, bob=None), url) == 1
    assert set(scores(url, small.name)) == {"alice"}


def test_a_second_run_updates_the_scores(small, url):
    write_gradebook(run_with(small, alice=0.0), url)
    write_gradebook(run_with(small, alice=2.0), url)
    assert scores(url, small.name) == {"alice": (2, 2)}


def test_a_score_given_by_hand_stays(small, url):
    write_gradebook(run_with(small, alice=0.0), url)
    with Gradebook(url) as book:
        book.find_grade("check-spread", small.name, small.name, "alice").manual_score = 1.5
        book.db.commit()
    write_gradebook(run_with(small, alice=2.0), url)
    assert scores(url, small.name) == {"alice": (1.5, 2)}


def test_a_name_full_of_sql_is_a_name(small, url):
    name = "Robert'); DROP TABLE student;--"
    write_gradebook(run_with(small, **{name: 2.0}), url)
    assert scores(url, small.name) == {name: (2, 2)}


@pytest.mark.parametrize("address", ["no address", "sqlite:////no/such/folder/gradebook.db"])
def test_a_gradebook_that_cannot_be_opened_is_named(small, address):
    with pytest.raises(InputError, match="cannot open the gradebook"):
        write_gradebook(run_with(small, alice=2.0), address)
