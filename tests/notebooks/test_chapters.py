"""The notebooks are what they claim to be, and the checks on them can fail."""

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lint_notebooks
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout", "300", "-p", "no:cacheprovider"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_passes_the_lint(path):
    assert lint_notebooks.lint(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_has_what_a_reader_is_owed(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert prose.count("\n# ") == 0, "one title per page"
    owed = {
        "an answer that opens": "<details>",
        "a citation": r"\{cite:[pt]\}",
        "a term": r"glossary\.md#",
        "an equation with a label": r"\$\$ \(eq-",
        "a reference to it": r"\]\(#eq-",
        "a badge": "badge-colab",
    }
    assert [name for name, pattern in owed.items() if not re.search(pattern, prose)] == []


def code(source, count=1, tags=(), **options):
    return new_code_cell(source, execution_count=count, metadata={"tags": list(tags)}, **options)


@pytest.mark.parametrize(
    ("cells", "finding"),
    [
        ([code("1", count=None)], "not executed once"),
        ([code("1", count=2)], "not executed once"),
        ([code("\n".join("x = 1" for _ in range(26)))], "26 lines"),
        ([code("# NBVAL_SKIP\n1")], "nbval comment"),
        ([code("1", tags=["nbval-ignore-output"])], "asserts nothing"),
        ([code("1", tags=["nbval-ignore-output"]), code("print('assert')", 2)], "asserts nothing"),
        ([code("1", tags=["nbval-skip"]), code("assert True", 2)], "never run"),
        ([code("1", outputs=[new_output("stream", text="saved to /home/me/x")])], "absolute path"),
        (
            [
                code(
                    "1", outputs=[new_output("execute_result", {"text/plain": "<Axes at 0x7f01234567>"})]
                )
            ],
            "address",
        ),
        ([code("1", outputs=[new_output("stream", text="a.py:3: UserWarning: hm")])], "a warning"),
        ([code("1", outputs=[new_output("error", ename="ValueError", evalue="")])], "stores an error"),
        ([code("1", id="same"), code("2", 2, id="same")], "used twice"),
    ],
)
def test_the_lint_finds(cells, finding):
    notebook = new_notebook()
    notebook.cells = cells  # not through the constructor, which gives equal ids new names
    found = lint_notebooks.lint(notebook)
    assert len(found) == 1, found
    assert finding in found[0]


def test_the_lint_accepts_a_good_notebook():
    cells = [
        new_markdown_cell("# Title"),
        code("print(1 / 3)", outputs=[new_output("stream", text="0.333\n")]),
        code("time()", 2, tags=["nbval-ignore-output"]),
        code("assert 1 < 2", 3),
        code("", None),
    ]
    assert lint_notebooks.lint(new_notebook(cells=cells)) == []


def first_cells(path, count):
    """The chapter up to its `count`-th code cell that prints a number."""
    notebook = nbformat.read(path, as_version=4)
    for position, cell in enumerate(notebook.cells):
        count -= cell.cell_type == "code" and bool(printed_number(cell))
        if count == 0:
            notebook.cells = notebook.cells[: position + 1]
            return notebook
    raise AssertionError(f"{path} prints too few numbers")


def printed_number(cell):
    if "nbval-ignore-output" in cell.metadata.get("tags", []):
        return None
    for output in cell.outputs:
        if output.output_type == "stream" and re.search(r"\d", output.text):
            return output
    return None


def nbval(path):
    command = [sys.executable, "-m", "pytest", *NBVAL, str(path)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_nbval_fails_when_a_stored_number_in_a_chapter_is_altered(tmp_path):
    genuine = first_cells(CHAPTERS[0], 2)
    altered = copy.deepcopy(genuine)
    output = printed_number(altered.cells[-1])
    output.text = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), output.text, count=1)
    nbformat.write(genuine, tmp_path / "genuine.ipynb")
    nbformat.write(altered, tmp_path / "altered.ipynb")
    result = nbval(tmp_path / "genuine.ipynb")
    assert result.returncode == 0, result.stdout
    result = nbval(tmp_path / "altered.ipynb")
    assert result.returncode == 1, result.stdout
    assert "1 failed" in result.stdout


def test_nbval_fails_when_a_result_that_a_chapter_reports_is_altered(tmp_path):
    """A hundred right answers fewer in one run of SimpleCNN change chapter 7's sentence about it."""
    notebook = nbformat.read(ROOT / "chapters/07_cnn_in_pytorch.ipynb", as_version=4)
    imports = (
        "import json\nfrom pathlib import Path\nimport numpy as np\nfrom IPython.display import Markdown"
    )
    cells = {cell.id: cell for cell in notebook.cells}
    notebook.cells = [new_code_cell(imports), cells["seeds-read"], cells["seeds-answer"]]
    for folder, change in (("genuine", 0), ("altered", 100)):
        results = shutil.copytree(ROOT / "benchmarks/results", tmp_path / folder / "benchmarks/results")
        result = json.loads((results / "simple_cnn_sgd.json").read_text())
        result["variants"]["SimpleCNN, SGD"]["runs"][0]["test_correct"] -= change
        (results / "simple_cnn_sgd.json").write_text(json.dumps(result))
        (tmp_path / folder / "chapters").mkdir()
        nbformat.write(notebook, tmp_path / folder / "chapters/part.ipynb")
    outcome = nbval(tmp_path)
    assert "1 failed, 5 passed" in outcome.stdout, outcome.stdout
    assert "altered/chapters/part.ipynb" in outcome.stdout.partition("short test summary")[2]
