"""Sphinx extension: diagrams and widgets without a network, also from a file:// address.

sphinxcontrib-mermaid gives the directive, but draws with an ES module, which browsers refuse
to import from file:// pages. Here the diagrams are drawn by two classic scripts of our own site.
"""

from typing import Any

import sphinxcontrib.mermaid
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

SCRIPTS = ("vendor/mermaid/mermaid.tiny.js", "diagrams.js")


def drop_network_loaders(app: Sphinx, config: Config) -> None:
    """Disconnect Mermaid's module loader (`add_scripts` takes its place) and all of Thebe.

    Jupyter Book always loads sphinx_thebe, which writes a CDN's address into every page.
    """
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            handler = listener.handler
            if handler is sphinxcontrib.mermaid.install_js or handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)
    styles = app.registry.css_files
    styles[:] = [style for style in styles if style[0] != "sphinx-thebe.css"]


def add_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load the drawing scripts on pages with a diagram, and only there."""
    if doctree is not None and doctree.next_node(sphinxcontrib.mermaid.mermaid):
        for script in SCRIPTS:
            app.add_js_file(script, loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.setup_extension("sphinxcontrib.mermaid")
    app.connect("config-inited", drop_network_loaders)
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
