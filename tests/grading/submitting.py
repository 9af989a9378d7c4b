"""Making submissions for tests: what a student would hand in."""

import json
from pathlib import Path

EXERCISES = Path(__file__).parents[2] / "exercises"


def released(exercise):
    """The notebook a student starts from, without its self-check: cheap, and the same to the grader."""
    cells = []
    for cell in exercise.cells:
        if cell.kind != "misconception":
            kind = "markdown" if cell.kind == "prose" else "code"
            source = cell.stub if cell.kind == "solution" else cell.source
            outputs = {"outputs": [], "execution_count": None} if kind == "code" else {}
            cells.append({"cell_type": kind, "id": cell.id, "metadata": {}, "source": source, **outputs})
    metadata = {"mnist_course": {"exercise": exercise.name}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def answered(exercise, answers):
    """That notebook with some of its cells' sources replaced: {cell id: source}."""
    notebook = released(exercise)
    for cell in notebook["cells"]:
        cell["source"] = answers.get(cell["id"], cell["source"])
    return notebook


def solved(exercise, **changed):
    """The notebook of a student who knows everything, but for the cells in `changed`."""
    return answered(exercise, {cell.id: cell.source for cell in exercise.solutions} | changed)


def as_bytes(notebook):
    return json.dumps(notebook).encode()
