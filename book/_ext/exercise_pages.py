"""Sphinx extension: a page for every exercise, made from its author's notebook while the book is built.

The page shows what a student gets: text, stubs, questions. Hints and solutions are folded, and the
search does not see the solutions. The .ipynb file behind the download link and the theme's button
is the student's notebook. ``{exercise-table}`` lists the exercises.
"""

import ast
import hashlib
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from nbformat import writes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

import mnist_course.grading
from mnist_course.errors import InputError
from mnist_course.grading.exercise import BEGIN, END, Cell, Exercise
from mnist_course.grading.notebooks import read_notebook
from mnist_course.grading.release import release

FOLDER = "exercises/"

PYTHON = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def exercise_documents(env: Any) -> list[str]:
    """Return the pages of the book that are exercises."""
    return sorted(name for name in env.found_docs if name.startswith(FOLDER))


def show_exercise(app: Sphinx, docname: str, content: list[str]) -> None:
    """Replace an author's notebook by the one that the page shows."""
    if docname.startswith(FOLDER):
        content[0] = writes(page(Exercise.parse(read_notebook(content[0].encode()))))


def page(exercise: Exercise) -> Any:
    """Return the notebook that the exercise's page shows."""
    cells: list[Any] = []
    answer: list[Any] = []  # waits until the questions about it, and their hints, have been shown
    for cell in exercise.cells:
        if cell.kind in ("prose", "solution"):
            cells += answer
            answer = []
        if cell.kind == "solution":
            answer.append(new_markdown_cell(answered(cell, exercise), id=f"{cell.id[:50]}-answer"))
        cells += shown(cell)
    cells.insert(1, new_markdown_cell(offer(exercise), id="offer"))
    return new_notebook(cells=cells + answer, metadata=PYTHON)


def shown(cell: Cell) -> Iterator[Any]:
    """Yield what the page shows of one cell."""
    if cell.kind == "prose":
        yield new_markdown_cell(cell.source, id=cell.id)
    elif cell.kind == "setup":
        yield new_code_cell(cell.source, id=cell.id)
    elif cell.kind == "solution":
        yield new_code_cell(cell.stub, id=cell.id)
    elif cell.kind == "probe":
        points = "1 point" if cell.points == 1 else f"{cell.points:g} points"
        yield new_markdown_cell(f"**Question** `{cell.name}`, {points}", id=f"{cell.id[:50]}-asks")
        yield new_code_cell(cell.source, id=cell.id)
        hints = enumerate(cell.ours.get("hints", []), start=1)
        name = html.escape(cell.name)
        folds = [folded(f"Hint {number} for <code>{name}</code>", text) for number, text in hints]
        yield new_markdown_cell("\n\n".join(folds), id=f"{cell.id[:50]}-hints")


def offer(exercise: Exercise) -> str:
    """Return the lines below the title: what it is worth, and where the notebook is."""
    file = f"../_sources/{FOLDER}{exercise.name}.ipynb"
    link = f'<a class="download" href="{file}" download>Download the notebook</a>'
    return (
        f"**{exercise.points:g} points for {len(exercise.probes)} questions.** "
        f"{link} and write your answers there: it has the stubs, the questions and the hints, "
        "and says of each answer whether it is right. "
        "[About the exercises](../book/exercises.md)"
    )


def folded(summary: str, markdown: str) -> str:
    """Return text that opens, as everywhere in the book."""
    return f"<details>\n<summary>{summary}</summary>\n\n{markdown}\n\n</details>"


def answered(cell: Cell, exercise: Exercise) -> str:
    """Return the mistakes in this cell that the questions know, and the solution; both open."""
    mistakes = [one.ours["says"] for one in exercise.misconceptions if one.ours["of"] == cell.id]
    fold = folded("Mistakes that the questions recognise", "\n".join(f"- {says}" for says in mistakes))
    lines = [line for line in cell.source.split("\n") if BEGIN not in line and END not in line]
    fence = "`" * 6  # longer than any that a docstring holds
    code = "\n".join([f"{fence}{{exercise-solution}} {', '.join(written(cell))}", *lines, fence])
    return f"{fold}\n\n{code}" if mistakes else code


def written(cell: Cell) -> list[str]:
    """Return the names of the functions and classes that a solution cell leaves to write."""
    definitions = (ast.FunctionDef, ast.ClassDef)
    return [one.name for one in ast.parse(cell.source).body if isinstance(one, definitions)]


class solution_node(nodes.General, nodes.Element):
    """Code that opens. It is an attribute, not text, so that the search doesn't find it."""


class ExerciseSolution(SphinxDirective):
    """The content of a solution cell, folded; the argument names what it defines."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Keep the code for the writer."""
        names = [f"<code>{html.escape(name)}</code>" for name in self.arguments[0].split(", ")]
        return [solution_node(names=", ".join(names), code="\n".join(self.content))]


def write_solution(translator: Any, node: solution_node) -> None:
    """Write the folded, coloured code as HTML."""
    code = translator.highlighter.highlight_block(node["code"], "python", location=node)
    translator.body.append(
        f"<details>\n<summary>A solution: {node['names']}</summary>\n{code}</details>\n"
    )
    raise nodes.SkipNode


class ExerciseTable(SphinxDirective):
    """Every exercise of the book: number, subject, chapters, points."""

    def run(self) -> list[nodes.Node]:
        """Write the table as Markdown and let MyST parse it."""
        lines = [
            "| number | exercise | builds on | questions | points |",
            "| ---: | :--- | :--- | ---: | ---: |",
        ]
        for docname in exercise_documents(self.env):
            self.env.note_dependency(self.env.doc2path(docname))
            exercise = Exercise.load(self.env.doc2path(docname))
            subject = re.sub(r"^Exercise \d+: ", "", exercise.title)
            subject = f"{{doc}}`{subject[:1].upper()}{subject[1:]} </{docname}>`"
            chapters = ", ".join(chapter_links(exercise, self.env))
            counts = f"{len(exercise.probes)} | {exercise.points:g}"
            lines.append(f"| {int(exercise.name[:2])} | {subject} | {chapters} | {counts} |")
        return self.parse_text_to_nodes("\n".join(lines))


def chapter_links(exercise: Exercise, env: Any) -> list[str]:
    """Return the chapters that the exercise's introduction names, as links where they exist."""
    introduction = "\n".join(cell.source for cell in exercise.of_kind("prose")[:2])
    named = re.findall(r"[Cc]hapters? (\d+)(?:(?:, \d+)* and (\d+))?", introduction)
    numbers = sorted({int(number) for pair in named for number in pair if number})
    pages = {name[9:11]: name for name in env.found_docs if name.startswith("chapters/")}
    return [
        f"{{doc}}`chapter {number} </{pages[f'{number:02}']}>`"
        if f"{number:02}" in pages
        else f"chapter {number}"
        for number in numbers
    ]


def drop_launch_buttons(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Offer no Binder and no Colab: they would open the author's notebook, with the answers."""
    if name.startswith(FOLDER):
        buttons = context["header_buttons"]
        buttons[:] = [one for one in buttons if one.get("label") != "launch-buttons"]


def release_notebooks(app: Sphinx, exception: Exception | None) -> None:
    """Put the students' notebooks where Sphinx has put the authors'.

    A release runs every solution and every misconception, so it is kept until the exercise or the code
    of the grading changes.
    """
    if exception is not None or app.builder.format != "html":
        return
    kept = Path(app.outdir).parent / "exercises"
    modules = sorted(Path(mnist_course.grading.__file__).parent.glob("*.py"))
    code = b"".join(module.read_bytes() for module in modules)
    for docname in exercise_documents(app.env):
        exercise = Exercise.load(app.env.doc2path(docname))
        digest = hashlib.sha256(exercise.digest.encode() + code).hexdigest()
        stamp, notebook = kept / f"{exercise.name}.sha256", kept / f"{exercise.name}.ipynb"
        if not (stamp.is_file() and notebook.is_file() and stamp.read_text("ascii") == digest):
            kept.mkdir(parents=True, exist_ok=True)
            try:
                release(exercise, kept)
            except InputError as error:
                raise ExtensionError(f"no student's notebook: {error}") from error
            stamp.write_text(digest, encoding="ascii")
        target = Path(app.outdir) / "_sources" / f"{docname}.ipynb"
        target.write_bytes(notebook.read_bytes())


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.add_directive("exercise-solution", ExerciseSolution)
    app.add_directive("exercise-table", ExerciseTable)
    app.add_node(solution_node, html=(write_solution, None))
    app.connect("source-read", show_exercise)
    app.connect("html-page-context", drop_launch_buttons, priority=502)
    app.connect("build-finished", release_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
