"""Read the built book as a reader's browser does, and say what is wrong with it.

    python tools/check_pages.py            # every page of book/_build/html

A page is opened in Chromium, served from this machine. A finding is one line: a console error, a
failed request, a request to another host, an image without alt text, a formula or a diagram that
was not drawn, another number of main headings than one, a page wider than its window, a page that
transfers more than its budget.
"""

import functools
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

SITE = Path(__file__).resolve().parent.parent / "book" / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

BUDGET = 1_500_000
"""Bytes that a page may transfer to a browser that has nothing of it yet, uncompressed."""

ARRIVED = "() => !document.querySelector('meta[http-equiv=Refresh]')"
"""The index page sends its reader on to the book's first page."""

LOOK = r"""() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const short = (node) => (node.textContent || node.outerHTML).trim().slice(0, 60);
  const findings = [];
  // the theme repeats the heading in a part of the page that only paper shows
  const headings = all("h1").filter((node) => node.checkVisibility()).length;
  if (headings !== 1) findings.push(`${headings} main headings`);
  for (const image of all("img")) {
    const alt = (image.getAttribute("alt") ?? "").trim();
    if (!alt) findings.push(`image without alt text: ${image.getAttribute("src")}`);
    else if (/\.(png|svg|jpe?g|gif|webp)$/i.test(alt)) findings.push(`a file name as alt text: ${alt}`);
  }
  for (const formula of all("span.math, div.math"))
    if (!formula.querySelector("mjx-container")) findings.push(`formula not set: ${short(formula)}`);
  for (const use of all("use"))
    if (!document.querySelector(use.getAttribute("href")))
      findings.push(`a glyph is missing: ${use.outerHTML}`);
  for (const icon of all("i[class*='fa-']"))
    if (getComputedStyle(icon, "::before").content === "none")
      findings.push(`an icon is missing: ${short(icon)}`);
  for (const diagram of all(".mermaid"))
    if (!diagram.querySelector("svg")) findings.push(`diagram not drawn: ${short(diagram)}`);
    else if (!diagram.querySelector("svg > title")) findings.push("diagram without accTitle");
  const wider = document.documentElement.scrollWidth - window.innerWidth;
  if (wider > 1) findings.push(`page is ${wider} pixels wider than its window`);
  return findings;
}"""


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the browser reports what fails."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yield its address, which ends in a slash."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def is_error(line: ConsoleMessage) -> bool:
    """Tell whether the page complains; the icon that a browser asks for by itself is not the page's."""
    return line.type == "error" and not line.location.get("url", "").endswith("/favicon.ico")


@contextmanager
def launch() -> Iterator[Browser]:
    """Start the system's Chromium."""
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        raise FileNotFoundError(f"no browser: install one of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


def pages(site: Path = SITE) -> list[str]:
    """Return every page of the site, relative to it. What the theme leaves in _static is none."""
    found = (path.relative_to(site) for path in site.rglob("*.html"))
    return sorted(path.as_posix() for path in found if path.parts[0] != "_static")


def watch(page: Page, home: str) -> list[str]:
    """Return a list that fills with what goes wrong while the page loads and runs."""
    findings: list[str] = []

    def check_request(url: str) -> None:
        if not url.startswith((home, "data:", "blob:")):
            findings.append(f"request to another host: {url}")

    page.on("console", lambda line: findings.append(line.text) if is_error(line) else None)
    page.on("pageerror", lambda error: findings.append(f"script error: {error}"))
    page.on("request", lambda request: check_request(request.url))
    page.on("requestfailed", lambda request: findings.append(f"request failed: {request.url}"))
    page.on(
        "response",
        lambda answer: (
            findings.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None
        ),
    )
    return findings


def weigh(page: Page) -> list[int]:
    """Return a list that fills with the bytes of each answer that the page gets."""
    sizes: list[int] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda answer: sizes.append(int(answer["encodedDataLength"])))
    return sizes


def read_page(
    browser: Browser, home: str, path: str, *, width: int = 1280, theme: str = "light"
) -> list[str]:
    """Open one page below the address `home` and return the findings."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    findings = watch(page, home)
    sizes = weigh(page)
    page.goto(home + path)
    page.wait_for_function(ARRIVED)
    page.wait_for_load_state("networkidle")
    findings += page.evaluate(LOOK)
    if sum(sizes) > BUDGET:
        findings.append(f"{sum(sizes):,} bytes in {len(sizes)} requests, more than {BUDGET:,}")
    context.close()
    return findings


class _Links(HTMLParser):
    """Collects a page's anchors, its links, and the files it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        values = {name: value for name, value in attrs if value}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if "href" in values:
            (self.loaded if tag == "link" else self.links).append(values["href"])
        if "src" in values:
            self.loaded.append(values["src"])


def broken_links(site: Path = SITE) -> list[str]:
    """Return links to missing files or anchors, and files that would come from another host."""
    parsed: dict[Path, _Links] = {}
    for name in pages(site):
        parser = _Links()
        parser.feed((site / name).read_text(encoding="utf-8"))
        parsed[(site / name).resolve()] = parser
    findings = []
    for path, page in parsed.items():
        name = path.relative_to(site.resolve())
        findings += [f"{name} loads {url}" for url in page.loaded if urlsplit(url).netloc]
        for url in page.links + page.loaded:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                findings.append(f"{name} links to the missing file {url}")
            elif (
                parts.fragment
                and target in parsed
                and unquote(parts.fragment) not in parsed[target].anchors
            ):
                findings.append(f"{name} links to the missing anchor {url}")
    return findings


def main() -> None:
    """Print the findings of every page; exit with 1 if there are any."""
    findings = broken_links()
    with serve(SITE) as home, launch() as browser:
        for name in pages():
            findings += [f"{name}: {finding}" for finding in read_page(browser, home, name)]
    print("\n".join(findings) or f"{len(pages())} pages, nothing to complain about")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
