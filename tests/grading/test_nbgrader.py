"""nbgrader's own tools open the sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbgrader.nbgraderformat import MetadataValidator
from submitting import EXERCISES


def test_nbgrader_accepts_the_metadata_of_every_exercise():
    paths = sorted(EXERCISES.glob("[0-9]*.ipynb"))
    assert paths
    for path in paths:
        MetadataValidator().validate_nb(nbformat.read(path, as_version=4))


def test_nbgrader_generates_assignments_from_every_exercise(tmp_path):
    for path in EXERCISES.glob("[0-9]*.ipynb"):
        folder = tmp_path / "source" / path.stem
        folder.mkdir(parents=True)
        shutil.copy(path, folder)
    binaries = str(Path(sys.executable).parent)
    result = subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_assignment", "--assignment=*", "--create"],
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join([binaries, os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for path in EXERCISES.glob("[0-9]*.ipynb"):
        text = (tmp_path / "release" / path.stem / path.name).read_text("utf-8")
        assert "BEGIN SOLUTION" not in text
