"""Sphinx extension: what other sites show of a page that is linked there, and the icons of a tab.

A card's picture and address must be absolute, so they are written only where ``html.baseurl`` in
`_config.yml` names the address of the site. Title and description need none.
"""

from html import escape
from typing import Any
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx

CARD = "_static/card.png"
CARD_TEXT = "Handwritten digits below the course's title."
LENGTH = 200


def description(doctree: nodes.document) -> str:
    """Return the start of a page's first paragraph of text."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if text and paragraph.next_node(nodes.image) is None:
            return text if len(text) <= LENGTH else text[:LENGTH].rsplit(" ", 1)[0] + " …"
    return ""


def tags(title: str, text: str, site: str, page: str, base: str) -> dict[str, str]:
    """Return the properties of a page's card: Open Graph's, by name.

    Parameters
    ----------
    title, text
        Of the page.
    site
        The book's title.
    page
        The page's address below the site's, such as ``chapters/02_convolution.html``.
    base
        The site's address, or nothing.
    """
    card = {"og:type": "article", "og:site_name": site, "og:title": title, "og:description": text}
    if base:
        base = base.rstrip("/") + "/"
        card |= {"og:url": urljoin(base, page), "og:image": urljoin(base, CARD)}
        card |= {"og:image:width": "1200", "og:image:height": "630", "og:image:alt": CARD_TEXT}
    return {name: value for name, value in card.items() if value}


def add_tags(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Write the tags into a page's head."""
    if doctree is None:
        return
    title = nodes.Element.astext(app.env.titles[page])
    text = description(doctree)
    file = app.builder.get_target_uri(page)
    card = tags(title, text, app.config.html_title, file, app.config.html_baseurl)
    lines = [f'<meta property="{name}" content="{escape(value)}" />' for name, value in card.items()]
    lines.append(f'<meta name="description" content="{escape(text)}" />')
    if "og:image" in card:
        lines.append('<meta name="twitter:card" content="summary_large_image" />')
    icon = context["pathto"]("_static/favicon.png", 1)
    lines.append(f'<link rel="alternate icon" type="image/png" sizes="48x48" href="{icon}" />')
    context["metatags"] += "\n" + "\n".join(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("html-page-context", add_tags)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
