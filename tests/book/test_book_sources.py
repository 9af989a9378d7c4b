"""The book's sources: the build fails on any warning, the badges agree, the status page is derived."""

import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import build_book
import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
CONFIG = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))
TOC = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [
    chapter["file"]
    for part in TOC["parts"]
    for chapter in part["chapters"]
    if chapter["file"].startswith("chapters/")
]
STATUS = {
    "date": "2026-01-02",
    "hardware": {"cpu": "a processor", "cores": 2, "memory_gib": 23.5, "system": "Linux"},
    "versions": {"python": "3.11.7", "torch": "2.9", "numpy": "2.4"},
    "notebooks": {
        "chapters/01_mnist_data.ipynb": {"seconds": 41.24, "cells": 40},
        "chapters/99_gone.ipynb": {"seconds": 1.0, "cells": 3},
    },
}


def extension(name):
    spec = importlib.util.spec_from_file_location(name, BOOK / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def badges(chapter: str) -> list[str]:
    """The three lines that a chapter owes its reader, from the one place that names the repository."""
    repository, branch = CONFIG["repository"]["url"], CONFIG["repository"]["branch"]
    name = repository.removeprefix("https://github.com/")
    colab = f"{CONFIG['launch_buttons']['colab_url']}/github/{name}/blob/{branch}/{chapter}.ipynb"
    binder = f"{CONFIG['launch_buttons']['binderhub_url']}/v2/gh/{name}/{branch}"
    binder += f"?urlpath=lab/tree/{chapter}.ipynb"
    own = Path(chapter).name + ".ipynb"
    return [
        f"[![Open in Colab](../book/_static/badge-colab.svg)]({colab})",
        f"[![Launch Binder](../book/_static/badge-binder.svg)]({binder})",
        f"[![Download notebook](../book/_static/badge-download.svg)]({own})",
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_badges_of_a_chapter_lead_to_the_configured_repository(chapter):
    first = nbformat.read(ROOT / f"{chapter}.ipynb", as_version=4).cells[0].source
    assert [line for line in badges(chapter) if line not in first] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_typed_equation_numbers_are_the_true_ones(chapter):
    """JupyterLab shows the number that was typed, the book the counted one: they must be one."""
    cells = nbformat.read(ROOT / f"{chapter}.ipynb", as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    labels = re.findall(r"^\$\$ \((eq-[\w-]+)\)$", prose, flags=re.MULTILINE)
    for typed, label in re.findall(r"\[\((\d+)\)\]\(#(eq-[\w-]+)\)", prose):
        assert label in labels, f"{label} is no equation of this page"
        assert int(typed) == labels.index(label) + 1, f"{label} is number {labels.index(label) + 1}"


def test_every_chapter_file_is_in_the_table_of_contents():
    files = {f"chapters/{path.stem}" for path in (ROOT / "chapters").glob("*.ipynb")}
    assert files == set(CHAPTERS)


def test_lock_of_the_scripts_names_no_registry():
    lock = json.loads((BOOK / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert entry["integrity"].startswith("sha512-"), name


def test_status_page_shows_times_hardware_and_versions():
    env = SimpleNamespace(found_docs={"chapters/01_mnist_data"})
    text = "\n".join(extension("status_table").status_markdown(STATUS, env))
    assert "| {doc}`/chapters/01_mnist_data` | 40 | 41.2 |" in text
    assert "| `chapters/99_gone.ipynb` | 3 | 1.0 |" in text
    assert "**42.2**" in text
    for fact in ("a processor", "23.5 GiB", "3.11.7", "| torch | 2.9 |", "2026-01-02"):
        assert fact in text


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    """A book of two pages with this book's configuration and extensions."""
    root = tmp_path_factory.mktemp("small")
    shutil.copytree(BOOK, root / "book", ignore=shutil.ignore_patterns("_build", "*.md", "_toc.yml"))
    toc = "format: jb-book\nroot: book/index\nchapters:\n- file: book/glossary\n"
    (root / "book" / "_toc.yml").write_text(toc, encoding="utf-8")
    glossary = "# Glossary\n\n```{glossary}\nmax pooling\n  Keeps the largest value.\n```\n"
    (root / "book" / "glossary.md").write_text(glossary, encoding="utf-8")
    (root / "book" / "status.json").unlink(missing_ok=True)
    return root


def write_index(root: Path, text: str) -> None:
    (root / "book" / "index.md").write_text(f"# Index\n\n{text}\n", encoding="utf-8")


@pytest.mark.slow
def test_warnings_fail_the_build_again_and_again(small_book, capfd):
    """Builds four times, three seconds each."""
    site = small_book / "book" / "_build" / "html"
    status = "```{status-table} status.json\n```"
    write_index(small_book, f"A [pool](glossary.md#max-pooling).\n\n{status}")
    assert build_book.build(small_book) == 0
    page = (site / "book" / "index.html").read_text(encoding="utf-8")
    assert 'href="glossary.html#term-max-pooling"' in page
    assert "No run has been recorded" in page

    write_index(small_book, "A [pool](glossary.md#no-such-term).")
    for _ in range(2):
        assert build_book.build(small_book) != 0
        assert "no-such-term" in capfd.readouterr().err

    (small_book / "book" / "status.json").write_text('{"python": "3.11"}', encoding="utf-8")
    write_index(small_book, status)
    (site / "gone.html").write_text("a page of an earlier build", encoding="utf-8")
    assert build_book.build(small_book) != 0
    assert "make execute" in capfd.readouterr().err

    (small_book / "book" / "status.json").write_text(json.dumps(STATUS), encoding="utf-8")
    assert build_book.build(small_book) == 0
    assert "23.5 GiB" in (site / "book" / "index.html").read_text(encoding="utf-8")
    assert not (site / "gone.html").exists()
