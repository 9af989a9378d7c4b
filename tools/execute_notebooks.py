"""Run notebooks top to bottom, store their outputs, and record how long they took.

    python tools/execute_notebooks.py                 # every chapter
    python tools/execute_notebooks.py chapters/01*    # some of them
    python tools/execute_notebooks.py exercises/*     # the exercises; they are not on the status page

A notebook that fails keeps its old outputs. Only what a reader needs is stored: no timestamps, no
widget state, no name of this machine's kernel. `book/status.json` gets the run time of each notebook,
the hardware and the versions.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))
import measure  # noqa: E402

STATUS = ROOT / "book" / "status.json"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TENSORFLOW = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
ENVIRONMENT = dict.fromkeys([*THREADS, *TENSORFLOW], "1") | {"TQDM_DISABLE": "1"}
"""As `make test` runs them: one native thread per worker, no progress bars in stored outputs."""

KEPT_METADATA = ("mystnb", "mnist_course")
"""Metadata of a notebook that its author wrote: how the book shows it, and what makes it an exercise."""

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "torch",
    "torchvision",
    "tensorflow",
    "keras",
)


def execute(path: Path) -> float:
    """Run one notebook in place; return the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    start = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - start
    normalise(notebook)
    nbformat.write(notebook, path)
    return seconds


def normalise(notebook: NotebookNode) -> None:
    """Keep what belongs to the text; drop what belongs to this run."""
    notebook.metadata = NotebookNode(
        {
            **{key: value for key, value in notebook.metadata.items() if key in KEPT_METADATA},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join pieces of a stream that follow each other; how a slow cell's text is cut depends on time."""
    whole: list[NotebookNode] = []
    for output in outputs:
        previous = whole[-1] if whole else NotebookNode()
        if output.output_type == "stream" and previous.get("name") == output.name:
            previous.text += output.text
        else:
            whole.append(output)
    return whole


def main(paths: list[Path]) -> None:
    """Execute the notebooks and update the status file after each."""
    os.environ.update(ENVIRONMENT)
    status: dict[str, Any] = json.loads(STATUS.read_text()) if STATUS.exists() else {"notebooks": {}}
    for path in paths or sorted((ROOT / "chapters").glob("*.ipynb")):
        print(f"{path.name} …", end=" ", flush=True)
        seconds = execute(path)
        print(f"{seconds:.1f} s")
        if path.resolve().parent.name != "chapters":
            continue  # the status page is about the book's text
        cells = len(nbformat.read(path, as_version=4).cells)
        name = path.resolve().relative_to(ROOT).as_posix()
        status["notebooks"][name] = {"seconds": round(seconds, 1), "cells": cells}
        status |= measure.surroundings(PACKAGES)
        STATUS.write_text(json.dumps(status, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
