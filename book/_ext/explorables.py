"""Sphinx extension: a page with ``<figure data-explore="NAME">`` loads what makes that figure alive.

The figure holds a picture, which is all that JupyterLab, paper and a browser without scripts show.
The scripts are classic ones: browsers import no modules from file:// pages, and `make book` prints one.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

DIGITS = ("live/digits.js", "live/handwriting.js", "live/paint.js", "explore/pixels.js")
NEEDS: dict[str, tuple[str, ...]] = {
    "convolution": DIGITS,
    "pooling": DIGITS,
    "softmax": (),
    "cross_entropy": (),
    "learning_rate": (),
}


def add_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load the scripts and styles of the explorables that stand on this page."""
    if doctree is None:
        return
    html = "\n".join(node.astext() for node in doctree.findall(nodes.raw))
    names = re.findall(r'data-explore="([^"]*)"', html)
    if unknown := set(names) - set(NEEDS):
        raise ExtensionError(f"{page}: no explorable {sorted(unknown)}; there are {sorted(NEEDS)}")
    if not names:
        return
    for style in ("live/live.css", "explore/explore.css"):
        app.add_css_file(style)
    needed = [script for name in names for script in NEEDS[name]]
    for script in dict.fromkeys(
        ["explore/explore.js", *needed, *(f"explore/{name}.js" for name in names)]
    ):
        app.add_js_file(script, loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
