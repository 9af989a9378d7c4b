"""Notebooks from strangers: read as plain data within limits, or refused in words."""

import gzip
import io
import json
import os
import zipfile

import pytest

from mnist_course.errors import InputError
from mnist_course.grading import notebooks
from mnist_course.grading.notebooks import read_notebook, write_notebook


def notebook(*cells, **changes):
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}
    return json.dumps({**whole, **changes}).encode()


def cell(source="x = 1", **changes):
    return {"cell_type": "code", "id": "a", "metadata": {}, "source": source, **changes}


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("n.ipynb", content)
    return buffer.getvalue()


def test_a_source_in_lines_becomes_one_text():
    assert read_notebook(notebook(cell(["a = 1\n", "b = 2"])))["cells"][0]["source"] == "a = 1\nb = 2"


def test_what_is_written_is_read_again(tmp_path):
    once = read_notebook(notebook(cell("a = 1\nb = 'ü'")))
    write_notebook(once, tmp_path / "n.ipynb")
    assert read_notebook(tmp_path / "n.ipynb") == once


def test_half_of_a_surrogate_pair_is_replaced():
    source = read_notebook(notebook(cell("x = '\ud800'")))["cells"][0]["source"]
    assert source == "x = '?'"


REFUSED = {
    "nothing": (b"", "it is empty"),
    "a pdf": (b"%PDF-1.7 ...", "it is a PDF"),
    "a zip archive": (zipped(notebook()), "it is a zip archive"),
    "a gzip archive": (gzip.compress(notebook()), "it is a gzip archive"),
    "a page": (b"<html></html>", "an HTML or XML page"),
    "half a notebook": (notebook(cell())[:-20], "not valid JSON"),
    "bytes": (bytes(range(256)), "not valid JSON"),
    "another encoding": ("é".encode("latin-1"), "not valid JSON"),
    "a constant that is not JSON": (b'{"nbformat": NaN}', "not valid JSON"),
    "a number of 10,000 digits": (b'{"nbformat": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    "a list": (b"[]", "not a notebook"),
    "a text": (b'"cells"', "not a notebook"),
    "format 3": (notebook(nbformat=3), "version 3, expected 4"),
    "format true": (notebook(nbformat=True), "no version"),
    "no format": (b"{}", "no version"),
    "cells that are none": (notebook(cells={"a": 1}), "no list of at most"),
    "a cell that is none": (notebook("x"), "its cell 0 is no cell"),
    "an unknown cell": (notebook(cell(cell_type="shell")), "its cell 0 is no cell"),
    "a source that is none": (notebook(cell(7)), "the text of its cell 0"),
    "a source of other things": (notebook(cell(["a", 1])), "the text of its cell 0"),
    "a long source": (notebook(cell("x" * 200_001)), "the text of its cell 0"),
    "metadata that are none": (notebook(cell(metadata=[])), "the metadata of its cell 0"),
    "notebook metadata that are none": (notebook(metadata="x"), "its metadata are no mapping"),
    "many cells": (notebook(*[cell()] * 2_001), "at most 2000 cells"),
    "deep nesting": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested more than 60 deep"),
}


@pytest.mark.parametrize(("data", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_is_refused_in_words(data, words):
    with pytest.raises(InputError, match=words):
        read_notebook(data)


def test_brackets_within_texts_are_no_nesting():
    source = '"' + "[" * 1_000 + '\\"'
    assert read_notebook(notebook(cell(source)))["cells"][0]["source"] == source


def test_a_large_file_is_not_read_to_its_end(tmp_path, monkeypatch):
    path = tmp_path / "large.ipynb"
    with path.open("wb") as file:
        file.truncate(10**10)  # sparse: it takes no room on the disk, and would in memory
    with pytest.raises(InputError, match="at most 10,485,760 are accepted"):
        read_notebook(path)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "missing"])
def test_what_is_no_plain_file_is_refused(kind, tmp_path):
    path = tmp_path / "n.ipynb"
    if kind == "link":
        (tmp_path / "real.ipynb").write_bytes(notebook())
        path.symlink_to(tmp_path / "real.ipynb")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(InputError, match=r"cannot be read|not a plain file"):
        read_notebook(path)


def test_a_smaller_limit_can_be_asked_for():
    with pytest.raises(InputError, match="at most 10 are accepted"):
        notebooks.read_notebook(notebook(), max_bytes=10)
