"""Every measured number in prose has a source, and the lint that checks it can fail."""

import ast
import json
import tokenize
from pathlib import Path

import lint_numbers
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
MODULES = sorted([*(ROOT / "mnist_course").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "book").glob("*.md")])


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_measured_number_of_a_chapter_is_in_its_cells(path):
    assert lint_numbers.lint_notebook(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_measured_number_of_a_page_is_the_one_in_its_results_file(path):
    assert lint_numbers.lint_page(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_comments_and_docstrings_leave_measurements_to_the_pages(path):
    with path.open("rb") as file:
        comments = [t.string for t in tokenize.tokenize(file.readline) if t.type == tokenize.COMMENT]
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, documented)]
    texts = [*comments, *(ast.get_docstring(node) or "" for node in nodes)]
    found = [claim for text in texts for claim in lint_numbers.claims(lint_numbers.readable(text))]
    assert [
        claim.text for claim in found if claim.unit.startswith(("%", "×"))
    ] == []  # others are limits


def test_a_page_holds_a_number_from_a_results_file():
    assert any(lint_numbers.MARK.search(path.read_text(encoding="utf-8")) for path in PAGES)


def findings(prose, *, source="x = 1", output=""):
    outputs = [new_output("stream", text=output)] if output else []
    cells = [new_markdown_cell(prose), new_code_cell(source, outputs=outputs)]
    return lint_numbers.lint_notebook(new_notebook(cells=cells))


@pytest.mark.parametrize(
    ("prose", "number"),
    [
        ("It gets 98.3 % right.", "98.3 %"),
        ("It gets 98.3% right.", "98.3%"),
        ("It gets $98.3\\,\\%$ right.", "98.3 %"),
        ("From 91 to 98.3 percent.", "91 to 98.3 percent"),
        ("It wins by 0.4 points.", "0.4 points"),
        ("98.83 ± 0.13 over seeds", "98.83 ± 0.13"),
        ("The spread is ±0.2.", "±0.2"),
        ("NumPy is 3.4× slower.", "3.4×"),
        ("NumPy is 40 times slower.", "40 times"),
        ("A step takes 3.5 ms.", "3.5 ms"),
        ("It runs for 40 seconds.", "40 seconds"),
        ("It needs 130 MB.", "130 MB"),
        ("Its accuracy is 0.9883.", "0.9883"),
        ("| LeNet-5 | 98.9 % |", "98.9 %"),
        ("See [the result of 97 %](x.ipynb).", "97 %"),
        ("```{note}\nIt gets 97 % right.\n```", "97 %"),
        ("A network {cite:p}`a2000`. It gets 97 %.", "97 %"),
    ],
)
def test_a_measured_number_without_a_cell_is_found(prose, number):
    (finding,) = {text.partition("holds ")[2] for text in findings(prose)}
    assert finding == repr(number)


@pytest.mark.parametrize(
    ("prose", "cell"),
    [
        ("It gets 98.3 % right.", {"output": "accuracy 98.3 %"}),
        ("It gets 98.3 % right.", {"output": "accuracy 0.9834"}),
        ("It gets more than 98.5 %.", {"source": "assert accuracy > 0.985"}),
        ("It gets more than 98 %.", {"source": "assert 100 * accuracy > 98"}),
        ("A step takes 3.5 ms.", {"output": "0.00349 s"}),
        ("It needs 47 MB.", {"output": "47,040,016 bytes"}),
        ("It runs for about 40 seconds.", {"output": "took 37.2"}),
        ("The rate is 0.001.", {"source": "rate = 1e-3"}),
        ("NumPy is 40 times slower.", {"output": "ratio 39.8"}),
    ],
)
def test_a_number_that_a_cell_holds_is_accepted(prose, cell):
    assert findings(prose, **cell) == []


@pytest.mark.parametrize(
    "prose",
    [
        "28×28 pixels, 60,000 images, 5 × 5 kernels, a factor of 10",
        "$p = 99\\,\\%$ and $\\log 10 \\approx 2.303$ and\n\n$$ x = 0.125 $$",
        "`rate=0.125`\n\n```sh\nrun --rate 0.125\n```",
        "They report 99.2 % {cite:p}`a2000`.",
        'The article says "about 90 %".',
        "Python 3.11 to 3.13, section 2.25, arXiv:1708.07747",
        "<!-- given: 90 seconds; a limit -->It may take 90 seconds.",
    ],
)
def test_what_nobody_measured_here_is_left_alone(prose):
    assert findings(prose) == []


@pytest.mark.parametrize(
    ("prose", "cell"),
    [
        ("It gets 98.3 % right.", {"output": "accuracy 98.4 %"}),
        ("It gets 98 % right.", {"output": "98 images"}),
        ("A step takes 3.5 ms.", {"output": "0.0036 s"}),
        ("It runs for 40 seconds.", {"output": "took 37.2"}),
    ],
)
def test_another_number_is_no_source(prose, cell):
    assert len(findings(prose, **cell)) == 1


@pytest.mark.parametrize("part", [{"figure": {"caption": "{}"}}, {"image": {"alt": "{}"}}])
def test_captions_count_as_text(part):
    def figure(text):
        settings = json.loads(json.dumps(part).replace("{}", text))
        cell = new_code_cell("plot(0.983)", metadata={"mystnb": settings})
        return lint_numbers.lint_notebook(new_notebook(cells=[cell]))

    assert figure("98.3 per cent are right") == []
    assert len(figure("98.4 per cent are right")) == 1


def test_a_question_may_assume_a_number_and_its_answer_may_repeat_it():
    answer = "<details>\n<summary>Answer</summary>\n\nOf {} %.\n\n</details>"
    assert findings("> **Predict.** With 40 % wrong?\n\n" + answer.format(40)) == []
    assert len(findings("> **Predict.** With 40 % wrong?\n\n" + answer.format(45))) == 1
    assert len(findings("> **Predict.** With 40 % wrong?\n\nIt is 45 %.")) == 1


@pytest.fixture
def results(tmp_path):
    body = {"variants": {"A, B": {"values": [0.9871, 0.9896], "seconds": {"mean": 0.00349}}}}
    (tmp_path / "runs.json").write_text(json.dumps(body))
    return tmp_path


SOURCE = '<!-- runs: variants["A, B"].values[0], .1% -->'


@pytest.mark.parametrize(
    "page",
    [
        f"It gets 98.7 % {SOURCE} right.",
        f"It gets 98.7%{SOURCE}.",
        f"| network | 98.7 % {SOURCE} |",
        'A step takes 3.5 ms <!-- runs: variants["A, B"].seconds.mean * 1000, .1f --> on it.',
        "Of 5 %.\n\n<!-- given: 5 %; a level -->",
    ],
)
def test_a_page_with_sources_passes(page, results):
    assert lint_numbers.lint_page(page, results) == []


@pytest.mark.parametrize(
    ("page", "finding"),
    [
        ("It gets 98.7 % right.", "has no source"),
        (f"It gets 98.7 % right, which is good. {SOURCE}", "is not 98.7%"),
        (f"It gets 98.8 % {SOURCE} right.", "is not 98.7%"),
        (f"It gets 198.7 % {SOURCE} right.", "is not 98.7%"),
        (f"98.7 % {SOURCE} and 12 %.", "'12 %' has no source"),
        ("98.7 % <!-- gone: variants, .1% -->", "leads nowhere"),
        ('98.7 % <!-- runs: variants["B"].values[0], .1% -->', "leads nowhere"),
        ('98.7 % <!-- runs: variants["A, B"].values[7], .1% -->', "leads nowhere"),
        ("98.7 % <!-- from the first run -->", "is neither a source nor 'given'"),
    ],
)
def test_a_page_is_refused(page, finding, results):
    assert any(finding in text for text in lint_numbers.lint_page(page, results))


def test_a_changed_result_is_found_on_every_page_that_states_it(tmp_path):
    pages = [path.read_text(encoding="utf-8") for path in PAGES]
    stating = [page for page in pages if lint_numbers.MARK.search(page)]
    for page in stating:
        for mark in lint_numbers.MARK.finditer(page):
            text = (lint_numbers.RESULTS / f"{mark['name']}.json").read_text(encoding="utf-8")
            doubled = json.loads(text, parse_float=lambda number: 2 * float(number))
            (tmp_path / f"{mark['name']}.json").write_text(json.dumps(doubled))
        assert any("is not" in text for text in lint_numbers.lint_page(page, tmp_path))


def test_the_command_names_the_file_and_fails(tmp_path, capsys):
    (tmp_path / "good.md").write_text("28 × 28 pixels")
    (tmp_path / "bad.md").write_text("It gets 98.7 % right.")
    paths = [str(tmp_path / name) for name in ("good.md", "bad.md")]
    assert lint_numbers.main(paths) == 1
    assert capsys.readouterr().out.startswith("bad.md: '98.7 %'")
