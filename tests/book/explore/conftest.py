"""The explorables of a chapter, open in a browser, and what a reader does with them."""

import check_pages
import pytest

CHAPTERS = {
    "convolution": "chapters/02_convolution.html",
    "pooling": "chapters/03_activations_and_pooling.html",
    "softmax": "chapters/04_losses_and_optimizers.html",
    "cross_entropy": "chapters/04_losses_and_optimizers.html",
    "learning_rate": "chapters/04_losses_and_optimizers.html",
}


class Explorable:
    """One figure as the tests use it."""

    def __init__(self, page, name):
        self.page = page
        self.figure = page.locator(f'[data-explore="{name}"]')
        self.text = self.figure.locator(".explore-desk > p")
        self.voice = self.figure.locator("[role=status]")

    def control(self, label):
        return self.figure.get_by_label(label, exact=True)

    def set(self, **values):
        """Move sliders to a value, choose options; an underscore stands for a space."""
        for label, value in values.items():
            control = self.control(label.replace("_", " "))
            if control.evaluate("(node) => node.tagName") == "SELECT":
                control.select_option(str(value))
            else:
                control.fill(str(value))

    def captions(self):
        return self.figure.locator(".explore-views figcaption").all_inner_texts()

    def press(self, label, *keys):
        self.control(label).focus()
        for key in keys:
            self.page.keyboard.press(key)


@pytest.fixture(scope="module")
def open_chapter(browser, home):
    """Open the chapter of an explorable. At the end nothing may have gone wrong on any page."""
    opened = []

    def open_page(name, **options):
        context = browser.new_context(**options)
        page = context.new_page()
        page.set_default_timeout(120_000)  # a busy machine takes its time for a long chapter
        opened.append((page, check_pages.watch(page, home), options))
        page.goto(home + CHAPTERS[name])
        return page

    yield open_page
    for page, findings, options in opened:
        if not options.get(
            "java_script_enabled", True
        ):  # then it gives up scripts that it began to load
            findings = [
                one for one in findings if not one.startswith("request failed") or ".js" not in one
            ]
        assert findings == []
        page.context.close()


@pytest.fixture(scope="module")
def explorable(open_chapter):
    """Return an explorable by its name; each chapter is opened once."""
    pages = {}

    def find(name):
        chapter = CHAPTERS[name]
        if chapter not in pages:
            pages[chapter] = open_chapter(name, viewport={"width": 1280, "height": 900})
        return Explorable(pages[chapter], name)

    return find
