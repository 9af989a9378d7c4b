"""Sphinx extension: pages that load nothing from a network and draw nothing in the browser.

Formulas and diagrams are pictures when a page arrives: `tools/set_formulas.py` sets the formulas of the
built pages, `tools/draw_diagrams.py` has drawn the diagrams into ``book/diagrams``.
"""

import hashlib
from pathlib import Path
from typing import Any

import sphinx.ext.mathjax
import sphinxcontrib.mermaid
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

DIAGRAMS = Path(__file__).parents[1] / "diagrams"
LOADERS = (sphinxcontrib.mermaid.install_js, sphinx.ext.mathjax.install_mathjax)

logger = logging.getLogger(__name__)


def drop_loaders(app: Sphinx, config: Config) -> None:
    """Disconnect what would load MathJax and Mermaid, and all of Thebe.

    Jupyter Book always loads sphinx_thebe, which writes a CDN's address into every page.
    """
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            handler = listener.handler
            if handler in LOADERS or handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)
    styles = app.registry.css_files
    styles[:] = [style for style in styles if style[0] != "sphinx-thebe.css"]


def picture(source: str) -> Path:
    """Return the file that holds the picture of a diagram's source."""
    return DIAGRAMS / f"{hashlib.sha256(source.strip().encode()).hexdigest()[:12]}.svg"


def write_diagram(translator: Any, node: nodes.Element) -> None:
    """Write a diagram's picture into the page."""
    file = picture(node["code"])
    if file.is_file():
        translator.body.append(f'<div class="mermaid">{file.read_text(encoding="utf-8")}</div>\n')
    else:
        logger.warning("no picture of this diagram: python tools/draw_diagrams.py", location=node)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.setup_extension("sphinxcontrib.mermaid")
    app.add_node(sphinxcontrib.mermaid.mermaid, override=True, html=(write_diagram, None))
    app.connect("config-inited", drop_loaders)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
