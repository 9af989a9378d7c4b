"""Sphinx extension: what axe finds amiss in pages that the theme and docutils write."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

DEPRECATED = 'role="doc-biblioentry"'
EMPTY_HEADER = r"<th(?: [^>]*)?>\s*(?:<p></p>)?\s*</th>"


def mend(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give list items the role of list items, and let no header of a table be empty.

    An entry of the bibliography has a deprecated role. The corner of a table heads nothing.
    """
    body = context.get("body", "").replace(DEPRECATED, 'role="listitem"')
    context["body"] = re.sub(EMPTY_HEADER, "<td></td>", body)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("html-page-context", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
