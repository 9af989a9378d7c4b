"""A shared link shows the page's title and text; its picture only where the site's address is known."""

import importlib.util
import re
from html import unescape
from pathlib import Path

import check_pages
import pytest
from PIL import Image

BOOK = Path(__file__).parents[2] / "book"


@pytest.fixture(scope="module")
def social_card():
    spec = importlib.util.spec_from_file_location("social_card", BOOK / "_ext" / "social_card.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def properties(page: str) -> dict[str, str]:
    text = (check_pages.SITE / page).read_text(encoding="utf-8")
    found = re.findall(r'<meta property="(og:[\w:]+)" content="([^"]*)"', text)
    return {name: unescape(value) for name, value in found}


def test_a_page_has_a_title_and_a_text_and_no_address_by_default():
    card = properties("chapters/02_convolution.html")
    assert card["og:title"].endswith("Convolution")
    assert card["og:site_name"] == "From Pixels to Fine-Tuning"
    assert 20 < len(card["og:description"]) <= 202
    assert not [value for value in card.values() if "://" in value]


def test_every_page_has_its_own_title():
    titles = [properties(page)["og:title"] for page in check_pages.pages() if "/" in page]
    assert titles
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("base", ["https://example.org/course", "https://example.org/course/"])
def test_with_an_address_the_card_has_a_picture(social_card, base):
    card = social_card.tags("Title", "Text", "Book", "chapters/x.html", base)
    assert card["og:url"] == "https://example.org/course/chapters/x.html"
    assert card["og:image"] == "https://example.org/course/_static/card.png"
    assert (check_pages.SITE / "_static" / "card.png").is_file()


def test_card_and_icon_have_the_sizes_that_the_pages_name(social_card):
    card = social_card.tags("Title", "Text", "Book", "x.html", "https://example.org")
    with Image.open(BOOK / "_static" / "card.png") as picture:
        assert picture.size == (int(card["og:image:width"]), int(card["og:image:height"]))
    with Image.open(BOOK / "_static" / "favicon.png") as picture:
        assert picture.size == (48, 48)
