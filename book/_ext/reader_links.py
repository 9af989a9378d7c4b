"""Sphinx extension: plain Markdown links that work in JupyterLab, on GitHub and in the book.

- ``[stride](../book/glossary.md#stride)`` leads to the term in the glossary. A term that the
  glossary lacks is a warning, so it fails the build.
- A notebook's link to its own file, as under a download badge, downloads the notebook.
"""

import re
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx


def slug(term: str) -> str:
    """Turn a term into its anchor: ``Max pooling`` -> ``max-pooling``."""
    return re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-")


def name_terms(app: Sphinx, doctree: nodes.document) -> None:
    """Register each glossary term of a page as an anchor that Markdown links can name."""
    anchors = {
        slug(term.astext()): (term.line, term["ids"][0], term.astext())
        for glossary in doctree.findall(addnodes.glossary)
        for term in glossary.findall(nodes.term)
    }
    if anchors:
        app.env.metadata[app.env.docname].setdefault("myst_slugs", {}).update(anchors)


def download_own_notebook(app: Sphinx, doctree: nodes.document) -> None:
    """Make a notebook's link to itself a download of the .ipynb file."""
    page = app.env.docname
    source = PurePosixPath(app.env.doc2path(page)).name
    if not source.endswith(".ipynb"):
        return
    for link in list(doctree.findall(addnodes.pending_xref)):
        if link.get("refdomain") == "doc" and link["reftarget"] == page and not link["reftargetid"]:
            download = addnodes.download_reference(
                "", "", *link[0].children, refdoc=page, reftarget=source, refexplicit=True
            )
            link.replace_self(download)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("doctree-read", name_terms)
    # Before Sphinx collects the files to download, which it also does on this event.
    app.connect("doctree-read", download_own_notebook, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
