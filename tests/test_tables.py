from html.parser import HTMLParser

import numpy as np
import pytest

from mnist_course.evaluation import Evaluation
from mnist_course.tables import html_table, text_table


class Elements(HTMLParser):
    """Every start tag with its attributes; raises when tags are not nested properly."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def named(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def result():
    # true cat cat owl owl <b>, predicted cat owl owl owl cat
    logits = 3.0 * np.eye(3)[[0, 1, 1, 1, 0]]
    return Evaluation(logits, np.array([0, 0, 1, 1, 2]), ("cat", "owl", "<b>"))


def test_the_html_table_has_a_caption_and_scopes(result):
    page = html_table(result)
    elements = Elements(page)
    scopes = [attributes["scope"] for attributes in elements.named("th")]
    assert scopes == ["col"] * 5 + ["row"] * 3
    assert "3 of 5 images right: 60.00%" in page
    assert len(elements.named("caption")) == 1


def test_names_are_escaped_in_html(result):
    page = html_table(result)
    assert "<b>" not in page
    assert "&lt;b&gt; taken for cat: 1" in page


def test_the_picture_draws_every_kind_of_mistake_and_says_what_it_is(result):
    elements = Elements(html_table(result))
    (svg,) = elements.named("svg")
    assert svg["role"] == "img"
    assert "at most 1" in svg["aria-label"]
    cells = [attributes for attributes in elements.named("rect") if "fill-opacity" in attributes]
    wrong = result.confusion - np.diag(np.diag(result.confusion))
    assert len(cells) == np.count_nonzero(wrong) == 2


def test_the_html_sets_no_colour_that_a_dark_page_could_swallow(result):
    page = html_table(result).replace("currentColor", "").replace('fill="none"', "")
    assert "fill=" not in page.replace('fill=""', "")
    assert "color" not in page.replace("currentcolor", "")
    assert "#" not in page


def test_without_mistakes_the_picture_is_an_empty_frame():
    result = Evaluation(3.0 * np.eye(2), np.array([0, 1]), ("no", "yes"))
    cells = Elements(html_table(result)).named("rect")
    assert len(cells) == 1


def test_a_notebook_shows_the_html_and_a_terminal_the_text(result):
    assert result._repr_html_() == html_table(result)
    assert result.report() == text_table(result)
