"""`pytest --nbval exercises` compares probes as typed values, and fails where it should."""

import json
import shutil
import subprocess
import sys

import pytest
from submitting import EXERCISES

from mnist_course.grading.notebooks import read_notebook, write_notebook
from mnist_course.grading.values import MIME

NBVAL = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout", "60", "-p", "no:cacheprovider"]


def nbval(folder):
    command = [sys.executable, "-m", "pytest", *NBVAL, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.fixture
def copied(tmp_path):
    """One exercise with the conftest beside it; `change` edits the stored value of a probe."""
    shutil.copy(EXERCISES / "conftest.py", tmp_path)
    path = tmp_path / "02_convolution_arithmetic.ipynb"
    shutil.copy(EXERCISES / path.name, path)

    def change(probe, edit):
        notebook = read_notebook(path)
        for cell in notebook["cells"]:
            for output in cell.get("outputs", []):
                bundle = output.get("data", {}).get(MIME)
                if bundle and bundle["name"] == probe:
                    edit(bundle)
        write_notebook(notebook, path)

    return tmp_path, change


def first_array(bundle):
    node = bundle["value"]
    while node["kind"] == "sequence":
        node = node["items"][0]
    return node


def scaled(factor):
    def edit(bundle):
        node = first_array(bundle)
        node["data"] = [number * factor for number in node["data"]]

    return edit


def test_a_value_within_the_tolerance_passes(copied):
    folder, change = copied
    change("separable/values", scaled(1 + 1e-6))
    result = nbval(folder)
    assert result.returncode == 0, result.stdout


def test_a_value_outside_the_tolerance_fails_and_says_where(copied):
    folder, change = copied
    change("separable/values", scaled(1.01))
    result = nbval(folder)
    assert result.returncode == 1, result.stdout
    assert "1 failed" in result.stdout
    assert "separable/values: 36 of 36 numbers differ, the first at [0, 0]" in result.stdout


def test_an_integer_that_became_a_float_fails(copied):
    folder, change = copied

    def edit(bundle):
        node = first_array(bundle)
        node["dtype"], node["data"] = "float64", [float(number) for number in node["data"]]

    change("output-size/plain", edit)
    result = nbval(folder)
    assert result.returncode == 1, result.stdout
    assert "it holds integer numbers (int64), expected float" in result.stdout


def test_a_missing_value_fails(copied):
    folder, _ = copied
    path = folder / "02_convolution_arithmetic.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    for cell in notebook["cells"]:
        if cell["id"] == "check-separable-values":
            cell["outputs"] = []
    path.write_text(json.dumps(notebook), "utf-8")
    result = nbval(folder)
    assert result.returncode == 1, result.stdout
