"""The book on paper: pages in order, bookmarks, links within the file, all open, nothing to click."""

import sys

import check_pages
import print_book
import pytest
import yaml

NAMES = ["book/index", "book/preface", "book/notation", "exercises/03_pooling_and_activations"]
TITLES = [
    "From Pixels to Fine-Tuning",
    "Preface",
    "Notation",
    "Exercise 3: overlapping max pooling and GELU",
]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Four pages, printed as the whole book is."""
    path = tmp_path_factory.mktemp("printed") / "book.pdf"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["print_book.py", "--output", str(path), *NAMES])
        print_book.main()
    return print_book.PdfReader(path)


def starts(book):
    """The first sheet of each of the four pages, and the number of sheets."""
    tops = [one for one in book.outline if not isinstance(one, list)]
    return [book.get_destination_page_number(one) for one in tops] + [len(book.pages)]


def sheets(book, number):
    first, end = starts(book)[number : number + 2]
    return book.pages[first:end]


def reached(book, number):
    """The sheets of this file to which the links of one of the four pages lead."""
    links = [link for sheet in sheets(book, number) for link in print_book.link_annotations(sheet)]
    places = [link["/Dest"][0].get_object() for link in links if "/Dest" in link]
    return {book.get_page_number(place) for place in places}


def test_every_page_of_the_book_is_printed_in_the_order_of_the_contents():
    toc = yaml.safe_load(print_book.TOC.read_text(encoding="utf-8"))
    names = list(print_book.toc_pages(toc))
    assert names[:2] == ["book/index", "book/preface"]
    built = {page.removesuffix(".html") for page in check_pages.pages()} - {"index", "search"}
    assert sorted(names) == sorted(built)


def test_bookmarks_are_the_headings(book):
    tops = [one.title for one in book.outline if not isinstance(one, list)]
    assert tops == TITLES
    below = [one for one in book.outline if isinstance(one, list)]
    assert [one.title for one in below[0]][:2] == ["Who it is for", "How to read it"]


def test_every_sheet_has_its_number(book):
    for number, sheet in enumerate(book.pages, start=1):
        assert str(number) in sheet.extract_text().split()


def test_links_between_printed_pages_lead_into_the_file(book):
    preface, notation = starts(book)[1:3]
    assert {preface, notation} <= reached(book, 0)
    assert reached(book, 2) == {notation}, "the reference to its first equation"


def test_no_link_leads_to_the_server_that_printed_the_book(book):
    links = [link for sheet in book.pages for link in print_book.link_annotations(sheet)]
    assert len(links) > 20
    addresses = [str(link["/A"].get("/URI")) for link in links if "/A" in link]
    assert [address for address in addresses if "127.0.0.1" in address] == []


def test_folded_text_is_printed(book):
    text = " ".join("".join(sheet.extract_text() for sheet in sheets(book, 1)).split())
    assert "Answer 24 × 24: the kernel" in text


def test_nothing_to_click_is_printed(book):
    text = "\n".join(sheet.extract_text() for sheet in book.pages)
    for word in ("Part II, the frameworks", "Forget my progress", "Skip to main content", "Back to top"):
        assert word not in text


def test_a_page_that_is_not_built_ends_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["print_book.py", "chapters/99_gone"])
    with pytest.raises(SystemExit, match="not built: chapters/99_gone; `make book`"):
        print_book.main()
