"""axe-core finds no violation on any built page, and the finding itself can fail."""

import check_pages
import pytest
from axe_playwright_python.sync_playwright import Axe

AXE = Axe()
PAGES = check_pages.pages() or ["no pages: build the book first, with `make book`"]
LIGHT = {"resultTypes": ["violations"]}
DARK = LIGHT | {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""Another theme changes colours, nothing else."""

LESS_TO_MEASURE = """() => {
  for (const drawing of document.querySelectorAll("mjx-container > svg")) drawing.replaceChildren();
  const seen = new Set();
  for (const token of document.querySelectorAll(".highlight pre span[class]"))
    if (seen.has(token.className)) token.replaceWith(...token.childNodes);
    else seen.add(token.className);
}"""
"""Formulas are drawn from thousands of nodes that hold no text and are hidden from screen readers, which
get MathML. Code has some colours and thousands of tokens, each of which axe would measure."""


def violations(page, options):
    """Return a line for each node that breaks a rule."""
    found = AXE.run(page, options=options).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:120]}" for one in found for node in one["nodes"]
    ]


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, browser):
    context = browser.new_context(
        viewport={"width": 1280, "height": 900},
        color_scheme=request.param,
        reduced_motion="reduce",  # a colour on its way to another is neither
    )
    page = context.new_page()
    page.set_default_timeout(120_000)  # a busy machine takes its time for a long page
    page.options = LIGHT if request.param == "light" else DARK
    yield page
    context.close()


@pytest.mark.parametrize("path", PAGES)
def test_page_breaks_no_rule(page, home, path):
    page.goto(home + path)
    page.wait_for_function(check_pages.ARRIVED)
    page.evaluate(LESS_TO_MEASURE)
    assert violations(page, page.options) == []


def test_a_bad_page_is_found_bad(page):
    page.set_content('<p style="color: #999; background: #888">grey on grey</p><img src="data:,">')
    assert any(line.startswith("color-contrast") for line in violations(page, page.options))
