"""The reader's progress stays in the browser, says what comes next, and can be forgotten."""

import json

import check_pages
import pytest
import yaml

FIRST, SECOND = "chapters/01_mnist_data", "chapters/02_convolution"
EXERCISE = "exercises/02_convolution_arithmetic"
FINISHED = "I have finished this chapter"
KEY = "from-pixels-to-fine-tuning:progress"
DENY = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("denied", "SecurityError"); },
});"""


@pytest.fixture
def page(browser):
    """A page of a browser that has seen nothing yet."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def mark(page, name):
    """What the sidebar says of a page."""
    file = name.rsplit("/", 1)[-1] + ".html"
    return page.locator(f".bd-links a[href$='{file}']").first.get_attribute("data-progress")


def stored(page):
    return json.loads(page.evaluate(f"localStorage.getItem('{KEY}')"))


def put(page, home, text):
    page.goto(home + "search.html", wait_until="networkidle")
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [KEY, text])


def test_a_new_reader_is_told_where_to_begin(page, home):
    findings = check_pages.watch(page, home)
    page.goto(home + "book/index.html", wait_until="networkidle")
    assert page.locator(".what-next").inner_text().strip() == "Begin with the preface."
    assert page.evaluate(f"localStorage.getItem('{KEY}')") is None
    assert findings == []


def test_a_chapter_is_opened_finished_by_keyboard_and_remembered(page, home):
    findings = check_pages.watch(page, home)
    page.goto(f"{home}{FIRST}.html")
    box = page.get_by_label(FINISHED)
    assert not box.is_checked()
    box.focus()
    page.keyboard.press("Space")
    assert page.get_by_label(FINISHED).is_checked()
    assert page.evaluate("document.activeElement.type") == "checkbox", "the focus is lost"
    assert "1 of " in page.get_by_role("status").last.inner_text()
    assert stored(page) == {"opened": [FIRST], "done": [FIRST], "last": FIRST}

    page.goto(f"{home}{SECOND}.html", wait_until="networkidle")
    assert mark(page, FIRST) == "done"
    assert page.locator(".bd-links .current > a").get_attribute("data-progress") == "opened"
    assert not page.get_by_label(FINISHED).is_checked()
    page.goto(f"{home}{FIRST}.html", wait_until="networkidle")
    page.get_by_label(FINISHED).uncheck()
    assert stored(page)["done"] == []
    assert findings == []


def test_an_exercise_is_ticked_in_its_chapter_and_on_its_own_page(page, home):
    page.goto(f"{home}{SECOND}.html")
    box = page.get_by_role("region", name="Your progress")
    assert "What next: Exercise 2" in box.inner_text()
    box.get_by_label("I have solved Exercise 2").check()
    assert "What next: 3." in box.inner_text()
    page.goto(f"{home}{EXERCISE}.html")
    assert page.get_by_label("I have solved this exercise").is_checked()


def test_the_index_says_what_next(page, home):
    put(page, home, json.dumps({"opened": [FIRST, SECOND], "done": [FIRST], "last": SECOND}))
    page.goto(home + "book/index.html")
    line = page.locator(".what-next")
    assert "What next: 2. Convolution." in line.inner_text()
    assert "1 of " in line.inner_text()
    line.get_by_role("link").click()
    page.wait_for_url(f"**/{SECOND}.html")
    page.get_by_label(FINISHED).check()
    page.go_back()
    page.wait_for_function("document.querySelector('.what-next').innerText.includes('2 of ')")
    assert "3. Activations" in line.inner_text()


def test_who_has_done_everything_is_told_so(page, home):
    toc = yaml.safe_load((check_pages.SITE.parents[1] / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    counted = [name for name in files if name.startswith(("chapters/", "exercises/"))]
    put(page, home, json.dumps({"opened": counted, "done": counted, "last": counted[0]}))
    page.goto(home + "book/index.html")
    assert "You have been through the whole book" in page.locator(".what-next").inner_text()


def test_progress_is_forgotten_when_the_reader_agrees(page, home):
    page.goto(f"{home}{FIRST}.html")
    page.get_by_label(FINISHED).check()
    forget = page.get_by_role("button", name="Forget my progress")
    page.once("dialog", lambda dialog: dialog.dismiss())
    forget.click()
    assert page.get_by_label(FINISHED).is_checked()
    page.once("dialog", lambda dialog: dialog.accept())
    forget.click()
    assert not page.get_by_label(FINISHED).is_checked()
    assert page.get_by_text("Your progress is forgotten.").is_visible()
    assert page.evaluate(f"localStorage.getItem('{KEY}')") is None
    assert mark(page, SECOND) == ""


def test_without_local_storage_ticks_last_for_the_page(page, home):
    page.add_init_script(DENY)
    page.goto(f"{home}{FIRST}.html")
    page.get_by_label(FINISHED).check()
    assert page.get_by_label(FINISHED).is_checked()
    assert "only until you leave" in page.get_by_role("region", name="Your progress").inner_text()


@pytest.mark.parametrize("text", ["not JSON", "null", "[]", '{"opened": 5, "done": "all", "last": {}}'])
def test_what_others_have_stored_counts_as_nothing(page, home, text):
    put(page, home, text)
    findings = check_pages.watch(page, home)
    page.goto(f"{home}{FIRST}.html", wait_until="networkidle")
    page.get_by_label(FINISHED).check()
    assert stored(page) == {"opened": [FIRST], "done": [FIRST], "last": FIRST}
    assert findings == []


def test_progress_is_kept_without_a_server(page):
    site = check_pages.SITE.as_uri() + "/"
    page.goto(f"{site}{FIRST}.html")
    page.get_by_label(FINISHED).check()
    page.goto(site + "book/index.html")
    assert "1 of " in page.locator(".what-next").inner_text()


@pytest.mark.parametrize("width", [390, 1280])
def test_what_next_takes_the_room_that_was_kept_for_it(browser, home, width):
    """What stands below it is where it was for a new reader, so nothing jumps when the script runs."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    below = "document.querySelector('.what-next').nextElementSibling.offsetTop"
    page.goto(home + "book/index.html", wait_until="networkidle")
    before = page.evaluate(below)
    put(page, home, json.dumps({"opened": [FIRST], "done": [], "last": FIRST}))
    page.goto(home + "book/index.html", wait_until="networkidle")
    assert "What next" in page.locator(".what-next").inner_text()
    assert page.evaluate(below) == before
    context.close()
