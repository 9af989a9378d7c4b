"""One browser and one served copy of the built book for the tests of a file."""

import check_pages
import pytest


@pytest.fixture(scope="module")
def browser():
    with check_pages.launch() as browser:
        yield browser


@pytest.fixture(scope="module")
def home():
    assert check_pages.pages(), "book/_build/html has no pages: build the book first, with `make book`"
    with check_pages.serve(check_pages.SITE) as home:
        yield home
