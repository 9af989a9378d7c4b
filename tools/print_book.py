"""Print the built book into one PDF file, every page of the table of contents in its order.

    python tools/print_book.py [--output FILE] [PAGE ...]

Run as `make pdf`. Chromium prints the pages as print.css wants them; pypdf joins them, keeps their
headings as bookmarks, and makes the links between the pages lead to places in the file. PAGE, such as
chapters/02_convolution, prints those pages only.
"""

import argparse
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import yaml
from check_pages import SITE, launch, serve
from playwright.sync_api import Browser
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NullObject, TextStringObject

from mnist_course.files import atomic_write

TOC = SITE.parents[1] / "_toc.yml"
OUTPUT = SITE.parent / "book.pdf"

HEADER = """<div style="font: 8px sans-serif; width: 100%; padding: 0 16mm; color: #444">
<span class="title"></span></div>"""
NUMBER = """<div style="font: 8px sans-serif; width: 100%; text-align: center; color: #444">
<span class="pageNumber"></span></div>"""

ANCHOR = """ids => {
  // Chromium writes only those places into a file to which the file itself has a link.
  const links = document.createElement("div");
  links.style.cssText = "font-size: 1px; line-height: 1px; color: transparent; overflow: hidden";
  for (const id of ids)
    if (document.getElementById(id)) {
      const link = document.createElement("a");
      link.href = `#${id}`;
      link.textContent = ".";
      links.append(link);
    }
  document.querySelector(".bd-article")?.append(links);
}"""


HEADINGS = """() => [...document.querySelectorAll(".bd-article :is(h1, h2, h3, h4, h5, h6)")].map(
  (heading) => {
    const copy = heading.cloneNode(true);
    for (const node of copy.querySelectorAll(".headerlink, svg")) node.remove();
    return copy.textContent.trim();
  })"""


@dataclass(frozen=True)
class Printed:
    """A page of the book on paper: its name below the site, and its sheets."""

    name: str
    pdf: PdfReader


def toc_pages(toc: object) -> Iterator[str]:
    """Yield the pages of a table of contents, in its order."""
    if isinstance(toc, list):
        for entry in toc:
            yield from toc_pages(entry)
    elif isinstance(toc, dict):
        yield from (toc[key] for key in ("root", "file") if key in toc)
        for key in ("parts", "chapters", "sections"):
            yield from toc_pages(toc.get(key))


def anchors(names: list[str]) -> dict[str, set[str]]:
    """Return, for each page, the places in it to which other pages lead."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for name in names:
        page = SITE / f"{name}.html"
        for path, place in re.findall(r'href="([^"#:]+)\.html#([^"]+)"', page.read_text("utf-8")):
            target = (page.parent / unquote(path)).resolve()
            if target.is_relative_to(SITE):
                found.get(target.relative_to(SITE).as_posix(), set()).add(unquote(place))
    return found


def print_pages(browser: Browser, home: str, names: list[str]) -> Iterator[Printed]:
    """Yield the pages below the address `home`, printed one after the other."""
    places = anchors(names)
    page = browser.new_page()
    for name in names:
        page.goto(f"{home}{name}.html", wait_until="networkidle")
        page.evaluate(ANCHOR, sorted(places[name]))
        pdf = page.pdf(
            prefer_css_page_size=True,
            print_background=True,
            tagged=True,
            outline=True,
            display_header_footer=True,
            header_template=HEADER,
            footer_template="<span></span>",
        )
        printed = PdfReader(io.BytesIO(pdf))
        name_bookmarks(printed.outline, iter(page.evaluate(HEADINGS)))
        yield Printed(name, printed)
    page.close()


def name_bookmarks(bookmarks: Sequence[object], headings: Iterator[str]) -> None:
    """Give the bookmarks the headings' words, which Chromium joins where a heading breaks its line."""
    for bookmark in bookmarks:
        if isinstance(bookmark, list):
            name_bookmarks(bookmark, headings)
        else:
            bookmark.node[NameObject("/Title")] = TextStringObject(next(headings))


def numbers(browser: Browser, count: int) -> PdfReader:
    """Return `count` sheets with nothing but their numbers."""
    page = browser.new_page()
    sheet = "<div style='break-after: page'>&nbsp;</div>"
    page.set_content(f"<style>@page {{size: A4; margin: 20mm}}</style>{sheet * (count - 1)}&nbsp;")
    pdf = page.pdf(
        prefer_css_page_size=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=NUMBER,
    )
    page.close()
    return PdfReader(io.BytesIO(pdf))


def link_annotations(sheet: PageObject) -> Iterator[DictionaryObject]:
    """Yield the links of a sheet."""
    if "/Annots" not in sheet:
        return
    for reference in sheet["/Annots"]:
        annotation = reference.get_object()
        if annotation.get("/Subtype") == "/Link":
            yield annotation


def place(sheets: Sequence[PageObject], pdf: PdfReader, name: str) -> ArrayObject:
    """Return a named place of a printed page as one among `sheets`; else the first sheet."""
    known = pdf.named_destinations
    destination = known.get(f"/{name}") or known.get(name)
    number = None if destination is None else pdf.get_destination_page_number(destination)
    if number is None:
        return ArrayObject([sheets[0].indirect_reference, NameObject("/Fit")])
    top = NullObject() if destination.top is None else destination.top
    return ArrayObject(
        [sheets[number].indirect_reference, NameObject("/XYZ"), NullObject(), top, NullObject()]
    )


def join(printed: list[Printed], home: str, stamps: PdfReader) -> PdfWriter:
    """Return the printed pages as one file.

    Parameters
    ----------
    printed
        In the order that they are to have.
    home
        The address from which they were printed: links below it come to lead into the file.
    stamps
        As many sheets as there are, with their numbers.
    """
    book = PdfWriter()
    sources = {one.name: one.pdf for one in printed}
    sheets: dict[str, list[PageObject]] = {}
    for name, pdf in sources.items():
        for sheet in pdf.pages:
            for link in link_annotations(sheet):
                if isinstance(link.get("/Dest"), str):  # a name, of which another page may have the same
                    link[NameObject("/Dest")] = place(pdf.pages, pdf, str(link["/Dest"]).lstrip("/"))
        before = len(book.pages)
        book.append(pdf, import_outline=True)
        sheets[name] = list(book.pages[before:])
    for sheet in book.pages:
        for link in link_annotations(sheet):
            address = str(link["/A"].get("/URI", "")) if "/A" in link else ""
            if not address.startswith(home):
                continue
            del link[NameObject("/A")]  # the server of this run
            path, _, fragment = unquote(address.removeprefix(home)).partition("#")
            target = path.removesuffix(".html")
            if target in sheets:
                link[NameObject("/Dest")] = place(sheets[target], sources[target], fragment)
    for sheet, stamp in zip(book.pages, stamps.pages, strict=True):
        sheet.merge_page(stamp)
    # every link says its place itself
    for key in ("/Dests", "/Names"):
        book.root_object.pop(NameObject(key), None)
    return book


def title(config: Path = SITE.parents[1] / "_config.yml") -> str:
    """Return the book's title."""
    return yaml.safe_load(config.read_text(encoding="utf-8"))["title"]


def main() -> None:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: book/_build/book.pdf")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="default: every page of the book")
    options = parser.parse_args()
    every = list(toc_pages(yaml.safe_load(TOC.read_text(encoding="utf-8"))))
    names = options.pages or every
    missing = [name for name in names if not (SITE / f"{name}.html").is_file()]
    if missing:
        sys.exit(f"not built: {', '.join(missing)}; `make book` builds the pages of book/_toc.yml")
    with serve(SITE) as home, launch() as browser:
        printed = []
        for one in print_pages(browser, home, names):
            printed.append(one)
            print(
                f"{len(printed)}/{len(names)} {one.name}: {len(one.pdf.pages)} sheets", file=sys.stderr
            )
        stamps = numbers(browser, sum(len(one.pdf.pages) for one in printed))
        book = join(printed, home, stamps)
    book.add_metadata({"/Title": TextStringObject(title())})
    with atomic_write(options.output) as temporary:
        book.write(temporary)
    print(options.output.resolve().as_uri())


if __name__ == "__main__":
    main()
