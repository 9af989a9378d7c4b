"""A folder of submissions: everybody's file is found once, everything else is named."""

import json
import os

import pytest
from submitting import as_bytes, released

from mnist_course.errors import InputError
from mnist_course.grading.submissions import find_submissions, slug


def put(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture
def notebook(small):
    return as_bytes(released(small))


def find(folder):
    found, problems = find_submissions(folder, ["00_small"])
    return [one.student for one in found], {problem.path: problem.why for problem in problems}


def test_a_student_is_named_by_the_file_or_by_the_folder(tmp_path, notebook):
    put(tmp_path, "alice.ipynb", notebook)
    put(tmp_path, "bob_00_small.ipynb", notebook)
    put(tmp_path, "carl/whatever.ipynb", notebook)
    put(tmp_path, "dora/00_small/00_small.ipynb", notebook)
    assert find(tmp_path) == (["alice", "bob", "carl", "dora"], {})


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    with pytest.raises(InputError, match=r"holds nothing; expected submissions that end in \.ipynb"):
        find(tmp_path)


def test_a_missing_folder_is_said_to_be_none(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        find(tmp_path / "missing")


def test_a_folder_of_other_files_is_counted(tmp_path):
    for number in range(30):
        put(tmp_path, f"{number}.pdf", b"%PDF")
    with pytest.raises(InputError, match="holds 30 files but no notebook"):
        find(tmp_path)


def test_other_files_beside_a_submission_are_named(tmp_path, notebook):
    put(tmp_path, "alice.ipynb", notebook)
    put(tmp_path, "notes.txt", b"hello")
    put(tmp_path, "paper.ipynb", b"%PDF-1.7")
    students, problems = find(tmp_path)
    assert students == ["alice"]
    assert problems == {
        "notes.txt": "it is no notebook; a submission ends in .ipynb",
        "paper.ipynb": "it is a PDF, expected a Jupyter notebook",
    }


def test_two_submissions_of_one_student_are_both_named_and_nobody_elses(tmp_path, notebook):
    put(tmp_path, "alice.ipynb", notebook)
    put(tmp_path, "alice/00_small.ipynb", notebook)
    put(tmp_path, "bob.ipynb", notebook)
    students, problems = find(tmp_path)
    assert students == ["bob"]
    assert set(problems) == {"alice.ipynb", "alice/00_small.ipynb"}
    why = "2 submissions of one student for 00_small (alice.ipynb, alice/00_small.ipynb); keep one"
    assert set(problems.values()) == {why}


def test_a_submission_of_another_exercise_is_named(tmp_path, notebook, small):
    other = {**released(small), "metadata": {"mnist_course": {"exercise": "09_fine_tuning"}}}
    put(tmp_path, "alice.ipynb", notebook)
    put(tmp_path, "bob.ipynb", json.dumps(other).encode())
    students, problems = find(tmp_path)
    assert students == ["alice"]
    assert problems == {"bob.ipynb": "it is a submission of 09_fine_tuning, expected 00_small"}


def test_a_link_is_not_followed(tmp_path, notebook):
    put(tmp_path, "class/alice.ipynb", notebook)
    put(tmp_path, "secret/solution.ipynb", notebook)
    (tmp_path / "class" / "bob.ipynb").symlink_to(tmp_path / "secret" / "solution.ipynb")
    (tmp_path / "class" / "carl").symlink_to(tmp_path / "secret")
    students, problems = find(tmp_path / "class")
    assert students == ["alice"]
    assert problems["bob.ipynb"] == "it is a link, not a file"
    assert set(problems) == {"bob.ipynb", "carl"}


def test_what_jupyter_leaves_behind_is_ignored(tmp_path, notebook):
    put(tmp_path, "alice/n.ipynb", notebook)
    put(tmp_path, "alice/.ipynb_checkpoints/n-checkpoint.ipynb", notebook)
    put(tmp_path, ".DS_Store", b"x")
    assert find(tmp_path) == (["alice"], {})


def test_a_name_that_cannot_be_printed_is_made_printable_and_stays_unique(tmp_path, notebook):
    put(tmp_path, "al\u202eice.ipynb", notebook)
    put(tmp_path, "al\u202dice.ipynb", notebook)
    put(tmp_path, "new\nline.ipynb", notebook)
    students, problems = find(tmp_path)
    assert len(set(students)) == 3
    assert all(student.isprintable() for student in students)
    assert problems == {}


def test_a_name_that_is_no_text_is_made_one(tmp_path, notebook):
    put(tmp_path, os.fsdecode(b"caf\xe9.ipynb"), notebook)
    students, _ = find(tmp_path)
    assert students[0].startswith("caf")
    students[0].encode()


def test_an_accent_is_one_student_however_it_is_spelled(tmp_path, notebook):
    put(tmp_path, "Jos\u00e9.ipynb", notebook)
    put(tmp_path, "Jose\u0301.ipynb", notebook)
    students, problems = find(tmp_path)
    assert students == []
    assert len(problems) == 2


@pytest.mark.parametrize("name", ["../../etc", "a/b", "<b>x</b>", "", "x" * 300, "con", "名前", "a b"])
def test_a_slug_is_a_harmless_file_name(name):
    assert slug(name).replace("-", "").replace("_", "").isalnum()
    assert len(slug(name)) < 60


def test_slugs_of_different_names_differ():
    assert slug("a b") != slug("a-b")
