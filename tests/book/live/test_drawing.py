"""Drawing with mouse, finger and keyboard, moving digits, and reading the page by other means."""

import re

import check_pages
import numpy as np
import pytest

from mnist_course.data import load_mnist
from mnist_course.pytorch.training import predict_logits
from mnist_course.scratch import softmax

PATH = "book/live.html"


STROKES = {
    "1": [[(14, 4), (14, 24)]],
    "7": [[(8, 5), (20, 5), (13, 24)]],
    "0": [[(14 + 5 * np.sin(t), 14 - 9 * np.cos(t)) for t in np.linspace(0, 2 * np.pi, 25)]],
    "4": [[(10, 4), (8, 14), (20, 14)], [(18, 5), (17, 24)]],
}


@pytest.mark.parametrize("digit", STROKES)
def test_drawn_digit_is_read(page, digit):
    page.draw(*STROKES[digit])
    assert page.guess() == digit
    assert page.inner_text("#live-label") == ""


def test_small_digit_in_a_corner_is_read_after_centring_and_scaling(page):
    page.draw([(2 + x / 3, 2 + y / 3) for x, y in STROKES["7"][0]])
    assert page.guess() == "7"
    before = page.locator("#live-bars tr").all_inner_texts()
    page.uncheck("#live-normalise")
    page.settle()
    assert not page.is_checked("#live-normalise-too")
    assert page.locator("#live-bars tr").all_inner_texts() != before


def test_a_finger_draws(open_live, home):
    page = open_live(home, viewport={"width": 390, "height": 800}, has_touch=True)
    page.locator("#live-pad").scroll_into_view_if_needed()
    box = page.locator("#live-pad").bounding_box()
    x = box["x"] + box["width"] / 2
    touch = page.context.new_cdp_session(page.page)
    for kind, y in [("touchStart", 0.2), *(("touchMove", 0.2 + 0.06 * i) for i in range(1, 11))]:
        point = {"x": x, "y": box["y"] + box["height"] * y}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.settle()
    assert page.guess() == "1"


def test_keyboard_draws_takes_back_and_clears(page):
    page.focus("#live-pad")
    page.keyboard.press("Delete")
    page.settle()
    assert page.inner_text("#live-sure") == "Draw a digit"
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")  # the pen is up
    page.settle()
    assert page.guess() == "1"
    page.keyboard.press("Control+z")
    page.settle()
    assert page.inner_text("#live-sure") == "Draw a digit"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "live-clear"


def test_a_screen_reader_hears_the_answer_when_the_pen_rests(page):
    """Not one of the answers on the way, though each of the 30 steps of the pen gives one."""
    heard = page.evaluate(
        """async () => {
          const [status, pad] = ["status", "pad"].map((name) => document.querySelector(`#live-${name}`));
          const heard = [];
          const note = () => heard.push(status.textContent);
          new MutationObserver(note).observe(status, { childList: true });
          const keys = [" ", ...Array(15).fill("ArrowRight"), ...Array(15).fill("ArrowDown")];
          for (const key of keys) {
            pad.dispatchEvent(new KeyboardEvent("keydown", { key }));
            pad.dispatchEvent(new KeyboardEvent("keyup", { key }));
            await new Promise(requestAnimationFrame);
          }
          while (!heard.at(-1)?.includes("says")) await new Promise(requestAnimationFrame);
          return heard;
        }"""
    )
    assert len(heard) <= 6  # of which a machine at rest hears "pen down" and one answer
    assert f"says {page.guess()}, " in heard[-1]


def test_moving_changes_the_answers_only_without_centring(page, model):
    image, index = page.seen_by(15)
    count = "document.querySelector('#live-count').textContent"
    page.wait_for_function(f"{count} !== ''")
    at_home = page.inner_text("#live-count")
    page.fill("#live-right", "4")
    page.wait_for_function(f"(before) => {count} !== before", arg=at_home)
    assert page.guess() == "5"
    lying, centred = map(
        int, re.search(r"reads (\d+) as .* and (\d+) after", page.inner_text("#live-count")).groups()
    )
    images = load_mnist("test")
    ordinary = page.evaluate("live.handwriting.ordinary.map((one) => one.index)")
    shifted = np.zeros((30, 28, 28), np.uint8)
    shifted[:, :, 4:] = images.images[ordinary][:, :, :-4]
    right = predict_logits(model, shifted).argmax(1) == images.labels[ordinary]
    assert lying == right.sum() < centred <= 30
    page.uncheck("#live-normalise")
    page.settle()
    shares = [row.split()[1] for row in page.locator("#live-bars tr").all_inner_texts()]
    expected = softmax(predict_logits(model, shifted[[15]]))[0]
    assert [float(share) for share in shares] == pytest.approx((100 * expected).tolist(), abs=0.06)
    page.click("#live-home")
    page.settle()
    assert page.guess() == "5"
    assert images.labels[index] == 5
    assert len(image) == 784


def test_everything_works_from_a_file_address(open_live):
    page = open_live(check_pages.SITE.as_uri() + "/")
    page.draw(*STROKES["7"])
    assert page.guess() == "7"
    for _ in range(7):
        page.click("#live-forward")


def test_pictures_follow_the_theme(page):
    corner = "document.querySelector('#live-seen').getContext('2d').getImageData(0, 0, 1, 1).data[0]"
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    page.wait_for_function(f"{corner} > 200")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"{corner} < 50")


def test_without_scripts_a_picture_and_the_layers_text_remain(browser, home):
    page = browser.new_page(java_script_enabled=False)
    page.goto(home + PATH)
    assert page.locator("noscript img").is_visible()
    assert page.locator("#live-texts li:visible").count() == 9
    assert not page.locator("#live-pad").is_visible()
    page.close()
