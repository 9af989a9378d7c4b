"""Sphinx extension: what axe finds amiss in pages that the theme and docutils write."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

DEPRECATED = 'role="doc-biblioentry"'


def mend(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let an entry of the bibliography be an item of its list; its own role is deprecated."""
    context["body"] = context.get("body", "").replace(DEPRECATED, 'role="listitem"')


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("html-page-context", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
