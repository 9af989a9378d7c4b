"""The live page, open in a browser, and what a reader does with it."""

import check_pages
import export_live_page
import pytest

PATH = "book/live.html"
LAYERS = ("image", "conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3", "softmax")


class LivePage:
    """The page as the tests use it; everything else is the browser's page."""

    def __init__(self, page):
        self.page = page

    def __getattr__(self, name):
        return getattr(self.page, name)

    def settle(self):
        """Wait until what was asked for is painted."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def guess(self):
        return self.inner_text("#live-guess")

    def draw(self, *strokes):
        """Draw with the mouse; a stroke is a list of points in pixels of the 28 × 28 image."""
        self.locator("#live-pad").scroll_into_view_if_needed()
        box = self.locator("#live-pad").bounding_box()
        for stroke in strokes:
            first, *others = [
                (box["x"] + box["width"] * x / 28, box["y"] + box["height"] * y / 28) for x, y in stroke
            ]
            self.mouse.move(*first)
            self.mouse.down()
            for point in others:
                self.mouse.move(*point, steps=3)
            self.mouse.up()
        self.settle()

    def seen_by(self, digit):
        """Choose a test digit of the page; return its bytes and its index in the test set."""
        self.locator(f"[data-digit='{digit}']").click()
        self.settle()
        return self.evaluate(
            "(at) => { const { ordinary, errors } = live.handwriting;"
            " const one = [...ordinary, ...errors][at]; return [[...one.bytes], one.index]; }",
            digit,
        )

    def choose(self, layer, **unit):
        """Go to a layer, and choose a unit by its numbers."""
        self.locator("#live-strip button").nth(LAYERS.index(layer)).click()
        for name, value in unit.items():
            self.fill(f"#live-{name}", str(value))
            self.press(f"#live-{name}", "Enter")


@pytest.fixture
def open_live(browser):
    """Open the page below an address; at the end nothing may have gone wrong on it."""
    opened = []

    def open_page(address, **options):
        page = browser.new_page(**options)
        opened.append((page, check_pages.watch(page, address)))
        page.goto(address + PATH)
        page.wait_for_function("document.querySelector('#live-time').textContent !== ''")
        return LivePage(page)

    yield open_page
    for page, findings in opened:
        assert findings == []
        page.close()


@pytest.fixture
def page(open_live, home):
    return open_live(home)


@pytest.fixture(scope="module")
def model():
    return export_live_page.read_weights()
