"""Draw the diagrams of the chapters and pages, `book/diagrams/*.svg`, with Mermaid in Chromium.

    python tools/draw_diagrams.py

A picture is named after its source, so a diagram that changes needs a new one; those that no page needs
any more are deleted. The pictures hold shapes and words; pictures.css gives them their colours.
"""

import hashlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import nbformat
from build_book import PACKAGES, install_packages
from check_pages import launch

ROOT = Path(__file__).resolve().parent.parent
DIAGRAMS = ROOT / "book" / "diagrams"
FENCE = re.compile(r"(?ms)^( *)```\{?mermaid\}?\n(.*?)^\1```")
MERMAID = PACKAGES / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"

DRAW = """async ([name, source]) => {
  mermaid.initialize({
    startOnLoad: false, securityLevel: "strict", htmlLabels: false,
    flowchart: {htmlLabels: false}, deterministicIds: true,
  });
  const {svg} = await mermaid.render(`diagram-${name}`, source);
  const picture = new DOMParser().parseFromString(svg, "text/html").querySelector("svg");
  for (const node of picture.querySelectorAll("style, g:empty")) node.remove();
  for (const node of picture.querySelectorAll("marker, filter, linearGradient"))
    if (!picture.outerHTML.includes(`url(#${node.id})`)) node.remove();
  for (const node of picture.querySelectorAll("defs:empty")) node.remove();
  for (const node of [picture, ...picture.querySelectorAll("*")])
    for (const {name} of [...node.attributes])
      if (/^(data-|xmlns|look$)/.test(name)) node.removeAttribute(name);
  return picture.outerHTML;
}"""


def sources() -> Iterator[str]:
    """Yield the source of every diagram of the book."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")]
    for folder in ("chapters", "exercises"):
        for path in (ROOT / folder).glob("*.ipynb"):
            cells = nbformat.read(path, as_version=4).cells
            texts += [cell.source for cell in cells if cell.cell_type == "markdown"]
    for text in texts:
        for found in FENCE.finditer(text):
            yield textwrap.dedent(found[2]).strip()


def picture(source: str) -> Path:
    """Return the file of a diagram's picture; the extension offline_pages looks for it there."""
    return DIAGRAMS / f"{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def main() -> None:
    """Draw what is missing, delete what is not needed."""
    wanted = {picture(source): source for source in sources()}
    DIAGRAMS.mkdir(exist_ok=True)
    for path in DIAGRAMS.glob("*.svg"):
        if wanted.pop(path, None) is None:
            path.unlink()
    if not wanted:
        return
    install_packages()
    with launch() as browser:
        page = browser.new_page()
        page.set_content("<!doctype html><style>svg {font-family: sans-serif}</style>")
        page.add_script_tag(path=MERMAID)
        for path, source in wanted.items():
            drawn = page.evaluate(DRAW, [path.stem, source])
            path.write_text(drawn + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
