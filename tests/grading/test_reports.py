"""What a grading run leaves behind: harmless, whatever a student wrote."""

import csv
import html
import io
import json
from html.parser import HTMLParser

import pytest

from mnist_course.grading.batch import ClassRun, Grade
from mnist_course.grading.marking import ProbeResult, Result
from mnist_course.grading.reports import grades_csv, grades_json, safe_cell, write_reports
from mnist_course.grading.submissions import Problem

NASTY = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"


def result(points=1.0, **changes):
    probe = {"name": "spread", "points": points, "of": 2.0, "correct": points == 2, **changes}
    return Result("graded", points, 2.0, (ProbeResult(**probe),), (), 1.5)


@pytest.fixture
def nasty_run(small):
    grades = [
        Grade(
            "=cmd|' /C calc'!A0",
            small.name,
            "a.ipynb",
            result(0.0, message=NASTY, own=NASTY, says=NASTY),
        ),
        Grade(NASTY, small.name, NASTY, result(2.0)),
        Grade("carl", small.name, "c.ipynb", Result("refused", None, 2.0, notes=(NASTY,))),
        Grade("dora", small.name, "d.ipynb", result(0.0, misconception="m", says="You forgot.")),
    ]
    return ClassRun(5, grades, [Problem(NASTY, "+x.pdf", "@why")], {small.name: small}, None)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


def pages(folder):
    return {path.name: path.read_text("utf-8") for path in folder.rglob("*.html")}


def test_no_page_contains_a_tag_that_a_student_wrote(nasty_run, tmp_path):
    write_reports(nasty_run, tmp_path)
    assert len(pages(tmp_path)) == 5
    for text in pages(tmp_path).values():
        tags = Tags(text).tags
        assert not {"script", "iframe", "object", "form"} & {tag for tag, _ in tags}
        assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]


def test_what_a_student_wrote_is_shown_as_it_is(nasty_run, tmp_path):
    write_reports(nasty_run, tmp_path)
    assert sum(html.escape("{{ 7 * 7 }}") in text for text in pages(tmp_path).values()) >= 3
    assert not [name for name, text in pages(tmp_path).items() if "49" in Tags(text).text]


def test_pages_need_no_network(nasty_run, tmp_path):
    write_reports(nasty_run, tmp_path)
    for text in pages(tmp_path).values():
        addresses = [a.get("src") or a.get("href") or "" for _, a in Tags(text).tags]
        assert not [
            address for address in addresses if "//" in address and not address.startswith("data:")
        ]


def test_the_summary_links_every_student_and_shows_the_misconceptions(nasty_run, tmp_path):
    write_reports(nasty_run, tmp_path)
    tags = Tags((tmp_path / "summary.html").read_text("utf-8"))
    links = [attributes["href"] for tag, attributes in tags.tags if tag == "a"]
    assert len(set(links)) == 4
    assert all((tmp_path / link).is_file() for link in links)
    assert "You forgot." in tags.text
    pictures = [attributes for tag, attributes in tags.tags if tag == "img"]
    assert len(pictures) == 1
    assert pictures[0]["alt"]


def test_no_cell_of_the_table_is_a_formula(nasty_run):
    rows = list(csv.reader(io.StringIO(grades_csv(nasty_run))))
    assert [len(row) for row in rows] == [8] * 6
    for row in rows:
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", "\n=1"])
def test_a_formula_is_quoted(text):
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "alice", "2", "0.5", "a=1", "x-y"])
def test_other_text_is_not(text):
    assert safe_cell(text) == text


def test_points_that_nobody_gave_are_empty_and_not_zero(nasty_run):
    rows = list(csv.DictReader(io.StringIO(grades_csv(nasty_run))))
    assert [row["points"] for row in rows] == ["0", "2", "", "0", ""]
    assert [row["status"] for row in rows] == ["graded", "graded", "refused", "graded", "not graded"]


def test_grades_json_is_json_and_complete(nasty_run, tmp_path):
    write_reports(nasty_run, tmp_path)
    content = json.loads((tmp_path / "grades.json").read_text("utf-8"))
    assert content == json.loads(json.dumps(grades_json(nasty_run)))
    assert [entry["student"] for entry in content["grades"]][1] == NASTY
    assert content["problems"][0]["why"] == "@why"


def test_a_run_without_any_grade_still_has_its_reports(tmp_path):
    assert write_reports(ClassRun(5, [], [Problem("", "x", "why")]), tmp_path).graded == 0
    assert "why" in (tmp_path / "summary.html").read_text("utf-8")
