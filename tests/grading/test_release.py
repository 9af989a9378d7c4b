"""The student's notebook is one file: what its author linked to is somewhere else."""

import dataclasses
import json
import re

import pytest
from submitting import EXERCISES

from mnist_course.grading.answers import Key
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.inputs import PUBLIC_SEED
from mnist_course.grading.release import student_version, without_links

RELATIVE = re.compile(r"\]\((?![a-z]+:|#)[^)]*\)")


@pytest.fixture
def chapters(tmp_path):
    """A folder with two texts, next to the one where exercises would be."""
    (tmp_path / "chapters").mkdir()
    for name, heading in (("02_two", "# 2. Convolution"), ("preface", "# Why")):
        code = {"cell_type": "code", "source": "# no heading", "metadata": {}, "outputs": []}
        text = {"cell_type": "markdown", "source": f"<badge>\n\n{heading}\n\nText.", "metadata": {}}
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [code, text]}
        (tmp_path / "chapters" / f"{name}.ipynb").write_text(json.dumps(notebook), "utf-8")
    return tmp_path / "exercises"


@pytest.mark.parametrize(
    ("written", "released"),
    [
        ("[Chapter 2](../chapters/02_two.ipynb) slid", "Chapter 2 (*Convolution*) slid"),
        ("is [separable](../chapters/02_two.ipynb#x):", "is separable (chapter 2, *Convolution*):"),
        ("[Before](../chapters/preface.ipynb)", "Before (*Why*)"),
        ("[Chapter 3](../chapters/03_gone.ipynb) slid", "Chapter 3 slid"),
        ("with [dilation](../book/glossary.md#dilation) $d$", "with dilation $d$"),
        ("[a](../chapters/02_two.ipynb), [b](../book/b.md)", "a (chapter 2, *Convolution*), b"),
        ("[a site](https://example.org/a.md)", "[a site](https://example.org/a.md)"),
        ("[below](#part-2), `f[0](x)` and $[0](1)$", "[below](#part-2), `f[0](x)` and $[0](1)$"),
    ],
)
def test_a_link_to_another_text_becomes_words(chapters, written, released):
    chapters.mkdir()
    assert without_links(written, chapters) == released


def test_without_the_book_a_links_words_stay():
    assert without_links("[Chapter 2](../chapters/02_two.ipynb) slid", None) == "Chapter 2 slid"


@pytest.mark.parametrize("path", sorted(EXERCISES.glob("[0-9]*.ipynb")), ids=lambda path: path.stem)
def test_no_text_of_a_released_exercise_leads_nowhere(path):
    student = student_version(Key(Exercise.load(path), PUBLIC_SEED))
    texts = [cell["source"] for cell in student["cells"] if cell["cell_type"] == "markdown"]
    assert [found for text in texts for found in RELATIVE.findall(text)] == []


def test_a_released_exercise_names_the_chapter_it_builds_on():
    exercise = Exercise.load(EXERCISES / "07_pytorch_cnn.ipynb")
    student = student_version(Key(exercise, PUBLIC_SEED))
    introduction = next(cell["source"] for cell in student["cells"] if cell["id"] == "intro")
    assert introduction.startswith("Chapter 7 (*A CNN in PyTorch*) wrote a Dataset")


def test_where_an_exercise_lies_is_not_part_of_it():
    exercise = Exercise.load(EXERCISES / "02_convolution_arithmetic.ipynb")
    moved = dataclasses.replace(exercise, path=None)
    assert (moved.digest, moved) == (exercise.digest, exercise)
