"""Every built page, read in a browser that has no network; and the reader itself, which can fail."""

import re

import check_pages
import pytest

NOT_BUILT = "book/_build/html has no pages: build the book first, with `make book`"
PAGES = check_pages.pages() or [NOT_BUILT]
"""Without a built book there is one test, which fails and says so."""


@pytest.mark.parametrize("path", PAGES)
def test_page_is_whole_on_a_desk(browser, home, path):
    assert check_pages.read_page(browser, home, path) == []


@pytest.mark.parametrize("path", PAGES)
def test_page_is_whole_on_a_dark_phone(browser, home, path):
    assert check_pages.read_page(browser, home, path, width=390, theme="dark") == []


def test_the_source_of_a_number_is_there_and_no_reader_sees_it():
    pages = {path: (check_pages.SITE / path).read_text(encoding="utf-8") for path in PAGES}
    assert re.search(r"98 %<!-- \w+: .*? --> on MNIST", pages["book/preface.html"])
    assert [path for path, text in pages.items() if "&lt;!--" in text] == []


def test_page_with_formulas_and_a_diagram_is_whole_without_a_server(browser, home):
    """`make book` prints a file:// address, from which browsers import no modules and fetch nothing."""
    site = check_pages.SITE.as_uri() + "/"
    assert check_pages.read_page(browser, site, "book/preface.html") == []


@pytest.mark.parametrize("served", [True, False], ids=["served", "file"])
def test_search_finds_what_is_there(browser, home, served):
    address = home if served else check_pages.SITE.as_uri() + "/"
    page = browser.new_page()
    findings = check_pages.watch(page, address)
    page.goto(address + "book/index.html")
    page.locator("button.search-button__button:visible").first.click()
    query = page.locator("dialog input[name='q']")
    query.fill("glossary")
    query.press("Enter")
    results = page.locator("#search-results ul.search li")
    page.wait_for_function("document.querySelectorAll('#search-results ul.search li').length > 0")
    page.wait_for_load_state("networkidle")
    assert "Glossary" in results.all_inner_texts()[0]
    assert findings == []

    page.goto(address + "search.html?q=zyzzyvaquux")
    page.wait_for_function("/did not match/.test(document.body.innerText)")
    assert results.count() == 0
    page.close()


def test_diagram_changes_with_the_theme(browser, home):
    page = browser.new_page()
    page.goto(home + "book/preface.html", wait_until="networkidle")
    fill = "getComputedStyle(document.querySelector('div.mermaid .node rect')).fill"
    page.wait_for_selector("div.mermaid svg")
    before = page.evaluate(fill)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"{fill} !== {before!r}")
    page.close()


def test_answers_fold_and_open(browser, home):
    page = browser.new_page()
    page.goto(home + "book/preface.html")
    answer = page.locator("details", has_text="Answer").first
    assert not answer.locator("p").first.is_visible()
    answer.locator("summary").click()
    assert answer.locator("p").first.is_visible()
    page.close()


def test_links_anchors_and_files_resolve():
    assert check_pages.pages(), NOT_BUILT
    assert check_pages.broken_links() == []


BAD = """<!doctype html><html><head><meta charset="utf-8"><title>bad</title>
<link rel="icon" href="data:,">
<script src="gone.js"></script><script>console.error("a console error"); undefinedName();</script>
</head><body><h1>One</h1><h1>Two</h1>
<img src="https://example.invalid/badge.svg"><img src="data:," alt="figure.png">
<span class="math">\\(x\\)</span><div class="mermaid">graph LR; a --> b</div>
<svg><use href="#nothing"/></svg><i class="fas fa-gone"></i>
<div style="width: 3000px">wide</div>
<a href="nowhere.html">file</a> <a href="#nowhere">anchor</a> <a href="bad.html">itself</a>
</body></html>"""

EXPECTED = (
    "404: ",
    "a console error",
    "script error: undefinedName",
    "2 main headings",
    "request to another host: https://example.invalid/badge.svg",
    "request failed: https://example.invalid/badge.svg",
    "image without alt text: https://example.invalid/badge.svg",
    "a file name as alt text: figure.png",
    "formula not set: \\(x\\)",
    "diagram not drawn: graph LR",
    'a glyph is missing: <use href="#nothing">',
    'an icon is missing: <i class="fas fa-gone">',
    "pixels wider than its window",
)


def test_a_heavy_page_is_found_heavy(browser, tmp_path):
    page = '<!doctype html><h1>One</h1><img src="big.svg" alt="A large picture">'
    (tmp_path / "heavy.html").write_text(page, encoding="utf-8")
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><!--' + "x" * check_pages.BUDGET + "--></svg>"
    (tmp_path / "big.svg").write_text(svg, encoding="utf-8")
    with check_pages.serve(tmp_path) as home:
        findings = check_pages.read_page(browser, home, "heavy.html")
    assert re.search(r"1,50\d,\d+ bytes in \d requests, more than 1,500,000", "\n".join(findings))


def test_a_bad_page_is_found_bad_in_every_way(browser, tmp_path):
    (tmp_path / "bad.html").write_text(BAD, encoding="utf-8")
    with check_pages.serve(tmp_path) as home:
        findings = "\n".join(check_pages.read_page(browser, home, "bad.html"))
    assert [text for text in EXPECTED if text not in findings] == []
    assert check_pages.broken_links(tmp_path) == [
        "bad.html loads https://example.invalid/badge.svg",
        "bad.html links to the missing anchor #nothing",
        "bad.html links to the missing file nowhere.html",
        "bad.html links to the missing anchor #nowhere",
        "bad.html links to the missing file gone.js",
    ]
