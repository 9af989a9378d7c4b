"""Every exercise has a page and a student's notebook, and neither gives more away than it should."""

import json
import re
import shutil
from pathlib import Path

import build_book
import check_pages
import nbformat
import pytest
import yaml

from mnist_course.grading.authoring import template
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.notebooks import read_notebook

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
EXERCISES = {path.stem: path for path in sorted((ROOT / "exercises").glob("[0-9]*.ipynb"))}
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
every_exercise = pytest.mark.parametrize("name", EXERCISES)


def built(name: str) -> str:
    return (check_pages.SITE / "exercises" / f"{name}.html").read_text(encoding="utf-8")


def code_of(notebook: dict) -> dict[str, str]:
    return {cell["id"]: cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"}


@every_exercise
def test_exercise_is_in_the_table_of_contents(name):
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    assert f"exercises/{name}" in files


@every_exercise
def test_page_folds_every_hint_and_every_solution(name):
    exercise = Exercise.load(EXERCISES[name])
    summaries = re.findall(r"<details>\s*<summary>(.*?)</summary>", built(name), flags=re.DOTALL)
    hints = sum(len(probe.ours["hints"]) for probe in exercise.probes)
    assert sum(text.startswith("Hint ") for text in summaries) == hints
    assert sum(text.startswith("A solution: ") for text in summaries) == len(exercise.solutions)


@every_exercise
def test_page_offers_the_students_notebook_and_no_launcher(name):
    page = built(name)
    assert f'href="../_sources/exercises/{name}.ipynb" download' in page
    assert "colab.research" not in page
    assert "mybinder.org" not in page


@every_exercise
def test_offered_notebook_holds_no_solution_and_no_misconception(name):
    exercise = Exercise.load(EXERCISES[name])
    offered = read_notebook(check_pages.SITE / "_sources" / "exercises" / f"{name}.ipynb")
    sources = code_of(offered)
    assert {cell.id: sources[cell.id] for cell in exercise.solutions} == {
        cell.id: cell.stub for cell in exercise.solutions
    }
    assert [cell.id for cell in exercise.misconceptions if cell.id in sources] == []
    text = json.dumps(offered, ensure_ascii=False)
    assert "BEGIN SOLUTION" not in text
    assert [cell.id for cell in exercise.misconceptions if cell.ours["says"] in text] == []


@every_exercise
def test_offered_notebook_is_the_one_of_this_version_of_the_exercise(name):
    offered = read_notebook(check_pages.SITE / "_sources" / "exercises" / f"{name}.ipynb")
    digest = Exercise.load(EXERCISES[name]).digest
    assert offered["metadata"]["mnist_course"] == {"exercise": name, "release": digest[:16]}


@every_exercise
def test_a_chapter_leads_to_the_exercise(name):
    cells = [cell for path in CHAPTERS for cell in nbformat.read(path, as_version=4).cells]
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert f"](../exercises/{name}.ipynb)" in prose


def test_list_of_exercises_names_each_with_its_chapter_and_points():
    page = (check_pages.SITE / "book" / "exercises.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr.*?</tr>", page, flags=re.DOTALL)[1:]
    assert len(rows) == len(EXERCISES)
    for row, (name, path) in zip(rows, EXERCISES.items(), strict=True):
        assert f'href="../exercises/{name}.html"' in row
        exercise = Exercise.load(path)
        introduction = exercise.of_kind("prose")[1].source
        assert ('href="../chapters/' in row) == bool(re.search(r"[Cc]hapters? \d", introduction))
        assert f"<p>{exercise.points:g}</p>" in row


def test_every_interview_question_has_an_answer_that_opens_and_leads_on():
    page = (BOOK / "interview_questions.md").read_text(encoding="utf-8")
    questions = re.split(r"(?m)^### ", page)[1:]
    assert len(questions) >= 30
    answer = re.compile(r"<details>\n<summary>Answer</summary>\n\n(.+?)\n\n</details>", re.DOTALL)
    for question in questions:
        found = answer.search(question)
        assert found, question
        assert "](" in found[1], f"leads nowhere: {question}"


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    """A book of one exercise, with this book's configuration and extensions."""
    root = tmp_path_factory.mktemp("small")
    ignored = shutil.ignore_patterns("_build", "*.md", "_toc.yml", "status.json")
    shutil.copytree(BOOK, root / "book", ignore=ignored)
    (root / "exercises").mkdir()
    draft = template("00_small")
    draft.cells[-2]["source"] = draft.cells[-2]["source"].replace(
        "return np", "zyzzyva = None  # a word of the solution's\n    return np"
    )
    draft.write(root / "exercises")
    pages = ["book/exercises", "exercises/00_small"]
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": page} for page in pages]}
    (root / "book" / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (root / "book" / "index.md").write_text("# Index\n\nA deviation.\n", encoding="utf-8")
    (root / "book" / "exercises.md").write_text("# List\n\n```{exercise-table}\n```\n", encoding="utf-8")
    return root


@pytest.mark.slow
def test_search_knows_the_statement_and_not_the_solution_and_a_wrong_one_fails(small_book, capfd):
    """Builds twice, some seconds each, and runs a small exercise."""
    site = small_book / "book" / "_build" / "html"
    assert build_book.build(small_book) == 0, capfd.readouterr().err
    assert "zyzzyva" in (site / "exercises" / "00_small.html").read_text(encoding="utf-8")
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert '"zyzzyva"' not in index
    assert '"deviat"' in index
    assert "zyzzyva" not in (site / "_sources/exercises/00_small.ipynb").read_text(encoding="utf-8")

    source = small_book / "exercises" / "00_small.ipynb"
    broken = source.read_text(encoding="utf-8").replace("zyzzyva = None", "zyzzyva = 1 / 0")
    source.write_text(broken, encoding="utf-8")
    assert build_book.build(small_book) != 0
    assert "its own solution fails in the cell check-spread" in capfd.readouterr().err
