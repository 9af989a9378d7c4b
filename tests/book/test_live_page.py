"""The live page in a browser: its network is chapter 7's, its numbers are PyTorch's, it can be used."""

import json
import re
from pathlib import Path

import check_pages
import export_live_page
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mnist_course.data import load_mnist, scale
from mnist_course.pytorch.training import evaluate, predict_logits
from mnist_course.scratch import softmax

PATH = "book/live.html"
SOURCES = Path(__file__).parents[2] / "book" / "_static" / "live"
CHAPTER = Path(__file__).parents[2] / "chapters" / "07_cnn_in_pytorch.ipynb"


@pytest.fixture(scope="module")
def browser():
    with check_pages.launch() as browser:
        yield browser


@pytest.fixture(scope="module")
def home():
    assert (check_pages.SITE / PATH).exists(), "book/_build/html lacks the live page: run `make book`"
    with check_pages.serve(check_pages.SITE) as home:
        yield home


def opened(browser, address, **options):
    """Return the page and the list of what goes wrong on it."""
    page = browser.new_page(**options)
    findings = check_pages.watch(page, address)
    page.goto(address + PATH)
    page.wait_for_function("document.querySelector('#live-time').textContent !== ''")
    return page, findings


@pytest.fixture
def page(browser, home):
    page, findings = opened(browser, home)
    yield page
    assert findings == []
    page.close()


@pytest.fixture(scope="module")
def model():
    return export_live_page.read_weights()


def draw(page, *strokes):
    """Draw with the mouse; a stroke is a list of points in pixels of the 28 × 28 image."""
    page.locator("#live-pad").scroll_into_view_if_needed()
    box = page.locator("#live-pad").bounding_box()
    for stroke in strokes:
        points = [
            (box["x"] + box["width"] * x / 28, box["y"] + box["height"] * y / 28) for x, y in stroke
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=3)
        page.mouse.up()
    settle(page)


def settle(page):
    """Wait until what was asked for is painted."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def guess(page):
    return page.inner_text("#live-guess")


def number(text):
    return float(text.replace("−", "-"))


def seen_by(page, digit):
    """Choose a test digit of the page by its button; return its bytes and its index in the test set."""
    page.locator(f"[data-digit='{digit}']").click()
    settle(page)
    return page.evaluate(
        "(at) => { const { ordinary, errors } = live.handwriting, one = [...ordinary, ...errors][at];"
        " return [[...one.bytes], one.index]; }",
        digit,
    )


def activations(model, image):
    """Return every layer's values of one image (28, 28), by the page's names."""
    x = torch.from_numpy(scale(np.asarray(image, np.uint8).reshape(1, 28, 28)))[None]
    with torch.inference_mode():
        values = {"conv1": F.relu(model.conv1(x))}
        values["pool1"] = F.max_pool2d(values["conv1"], 2)
        values["conv2"] = F.relu(model.conv2(values["pool1"]))
        values["pool2"] = F.max_pool2d(values["conv2"], 2)
        values["fc1"] = F.relu(model.fc1(values["pool2"].flatten(1)))
        values["fc2"] = F.relu(model.fc2(values["fc1"]))
        values["fc3"] = model.fc3(values["fc2"])
        values["softmax"] = F.softmax(values["fc3"], 1)
    return {
        name: value[0].reshape(value.shape[1], *(value.shape[2:] or (1, 1)))
        for name, value in values.items()
    }


def choose(page, layer, **unit):
    """Go to a layer and choose a unit by its numbers."""
    names = ("image", "conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3", "softmax")
    page.locator("#live-strip button").nth(names.index(layer)).click()
    for name, value in unit.items():
        page.fill(f"#live-{name}", str(value))
        page.press(f"#live-{name}", "Enter")


def test_page_and_weights_stay_under_200_kb():
    files = [path for path in SOURCES.iterdir() if path.suffix in {".js", ".css"}]
    assert len(files) >= 8
    assert sum(path.stat().st_size for path in files) <= 200_000


def test_network_is_the_one_that_chapter_7_trains(model):
    """Its recipe is the chapter's, and its accuracy the one that the chapter prints."""
    cells = [cell for cell in json.loads(CHAPTER.read_text())["cells"] if cell["cell_type"] == "code"]
    code = "\n".join("".join(cell["source"]) for cell in cells)
    recipe = Path(export_live_page.__file__).read_text()
    for line in ('load_mnist("train").split(11 / 12, seed=7)', 'lenet = build("lenet5", seed=0)'):
        assert line in code
        assert line in recipe
    assert 'fit(lenet, train, validation, epochs=5, seed=0, device="cpu")' in code
    assert 'fit(lenet, training, validation, epochs=5, seed=0, device="cpu")' in recipe
    (cell,) = [cell for cell in cells if "".join(cell["source"]) == "print(final)"]
    printed = float(re.search(r"accuracy (0\.\d+)", "".join(cell["outputs"][0]["text"]))[1])
    accuracy = evaluate(model, load_mnist("test")).accuracy
    again = "chapter 7 was executed elsewhere: run tools/export_live_page.py"
    assert accuracy == pytest.approx(printed, abs=5e-4), again


def test_logits_equal_pytorchs_on_200_digits(page, model, test_digits):
    images = test_digits.images
    logits = page.evaluate(
        "(images) => images.map((bytes) => [...live.network.forward(bytes).fc3])",
        images.reshape(-1, 784).tolist(),
    )
    assert len(logits) == 200
    np.testing.assert_allclose(logits, predict_logits(model, images), rtol=0, atol=1e-4)


def test_digits_are_mnists_and_the_errors_are_errors(page, model):
    test = load_mnist("test")
    digits = page.evaluate(
        "Object.fromEntries(['ordinary', 'errors'].map((kind) =>"
        " [kind, live.handwriting[kind].map((one) => ({ ...one, bytes: [...one.bytes] }))]))"
    )
    for kind, members in digits.items():
        indices = [one["index"] for one in members]
        assert np.array_equal([one["bytes"] for one in members], test.images[indices].reshape(-1, 784))
        assert [one["label"] for one in members] == test.labels[indices].tolist()
        if kind == "errors":
            answers = predict_logits(model, test.images[indices]).argmax(1)
            pairs = zip(test.labels[indices], answers, strict=True)
            captions = page.locator("#live-errors button").all_inner_texts()
            assert [text.strip() for text in captions] == [
                f"{label} → {answer}" for label, answer in pairs
            ]
            assert (answers != test.labels[indices]).all()


STROKES = {
    "1": [[(14, 4), (14, 24)]],
    "7": [[(8, 5), (20, 5), (13, 24)]],
    "0": [[(14 + 5 * np.sin(t), 14 - 9 * np.cos(t)) for t in np.linspace(0, 2 * np.pi, 25)]],
    "4": [[(10, 4), (8, 14), (20, 14)], [(18, 5), (17, 24)]],
}


@pytest.mark.parametrize("digit", STROKES)
def test_drawn_digit_is_read(page, digit):
    draw(page, *STROKES[digit])
    assert guess(page) == digit
    assert page.inner_text("#live-label") == ""


def test_small_digit_in_a_corner_is_read_after_centring_and_scaling(page):
    draw(page, [(2 + x / 3, 2 + y / 3) for x, y in STROKES["7"][0]])
    assert guess(page) == "7"
    before = page.locator("#live-bars tr").all_inner_texts()
    page.uncheck("#live-normalise")
    settle(page)
    assert not page.is_checked("#live-normalise-too")
    assert page.locator("#live-bars tr").all_inner_texts() != before


def test_a_finger_draws(browser, home):
    page, findings = opened(browser, home, viewport={"width": 390, "height": 800}, has_touch=True)
    page.locator("#live-pad").scroll_into_view_if_needed()
    box = page.locator("#live-pad").bounding_box()
    x = box["x"] + box["width"] / 2
    touch = page.context.new_cdp_session(page)
    for kind, y in [("touchStart", 0.2), *(("touchMove", 0.2 + 0.06 * i) for i in range(1, 11))]:
        point = {"x": x, "y": box["y"] + box["height"] * y}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settle(page)
    assert guess(page) == "1"
    assert findings == []
    page.close()


def test_keyboard_draws_takes_back_and_clears(page):
    page.focus("#live-pad")
    page.keyboard.press("Delete")
    settle(page)
    assert page.inner_text("#live-sure") == "Draw a digit"
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")  # the pen is up
    settle(page)
    assert guess(page) == "1"
    page.keyboard.press("Control+z")
    settle(page)
    assert page.inner_text("#live-sure") == "Draw a digit"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "live-clear"


def test_a_screen_reader_hears_one_answer_after_a_drawing(page):
    page.evaluate(
        "window.heard = []; new MutationObserver(() =>"
        " heard.push(document.querySelector('#live-status').textContent))"
        ".observe(document.querySelector('#live-status'), { childList: true })"
    )
    draw(page, *STROKES["4"])
    page.wait_for_function("heard.some((text) => text.includes('says 4'))")
    assert len(page.evaluate("heard")) <= 2  # the digit that lay there, perhaps, and the drawing


@pytest.mark.parametrize("digit", [7, 13, 31])
def test_arithmetic_ends_in_pytorchs_number(page, model, digit):
    image, _ = seen_by(page, digit)
    values = activations(model, image)
    random = np.random.default_rng(digit)
    for layer, value in values.items():
        strongest = np.unravel_index(value.argmax(), value.shape)
        for unit in (strongest, random.integers(value.shape)):
            chosen = dict(zip(("map", "row", "column"), map(int, unit), strict=True))
            shown = chosen if value.shape[1] > 1 else {"map": chosen["map"]}
            choose(page, layer, **shown)
            assert number(page.inner_text("#live-arithmetic output")) == pytest.approx(
                float(value[tuple(unit)]), abs=1.01e-4
            ), (layer, unit)


def test_sums_of_the_six_channels_are_pytorchs_and_add_up(page, model):
    image, _ = seen_by(page, 12)
    choose(page, "conv2", map=9, row=4, column=6)
    patches = activations(model, image)["pool1"][:, 4:9, 6:11]
    sums = (patches * model.conv2.weight[9].detach()).sum((1, 2))
    texts = page.locator("#live-arithmetic label").all_inner_texts()
    assert [number(text.split(":")[1]) for text in texts] == pytest.approx(sums.tolist(), abs=1e-4)
    page.locator("#live-arithmetic input").nth(3).check()
    cells = page.locator("#live-arithmetic table").nth(2).locator("td").all_inner_texts()
    products = (patches[3] * model.conv2.weight[9, 3].detach()).flatten()
    assert [number(cell) for cell in cells] == pytest.approx(products.tolist(), abs=5.1e-3)
    assert page.evaluate("document.activeElement.value") == "3"
    total = page.inner_text("#live-arithmetic > p")
    sum_text, bias_text = re.search(r"bias: (\S+) \+ \(?([−\d.]+)", total).groups()
    assert number(sum_text) == pytest.approx(float(sums.sum()), abs=1.01e-4)
    assert number(bias_text) == pytest.approx(float(model.conv2.bias[9]), abs=1e-4)


def test_receptive_field_is_where_a_gradient_arrives(page):
    """Averages in place of maxima and of kernels let the gradient reach every pixel that can matter."""

    def layers(x):
        x = F.conv2d(x, torch.ones(1, 1, 5, 5), padding=2)
        yield x
        x = F.avg_pool2d(x, 2)
        yield x
        x = F.conv2d(x, torch.ones(1, 1, 5, 5))
        yield x
        yield F.avg_pool2d(x, 2)

    for index in range(1, 5):
        for row, column in ((0, 0), (2, 3), (4, 4)):
            pixels = torch.zeros(1, 1, 28, 28, requires_grad=True)
            list(layers(pixels))[index - 1][0, 0, row, column].backward()
            rows, columns = np.nonzero(pixels.grad[0, 0].numpy())
            expected = {
                "top": rows.min(),
                "bottom": rows.max(),
                "left": columns.min(),
                "right": columns.max(),
            }
            unit = {"row": row, "column": column}
            assert page.evaluate("(a) => live.network.receptiveField(...a)", [index, unit]) == expected


def test_units_are_chosen_by_click_and_by_arrow_keys_and_layers_by_steps(page):
    seen_by(page, 7)
    page.click("#live-forward")  # from the first convolution to the first pooling
    assert page.locator("#live-strip [aria-current=step]").inner_text().startswith("pool 1")
    assert page.locator("#live-texts li:visible").all_inner_texts()[0].startswith("First pooling.")
    box = page.locator("#live-maps").bounding_box()
    page.mouse.click(box["x"] + 1, box["y"] + 1)
    inputs = [page.locator(f"#live-{name}") for name in ("map", "row", "column")]
    assert [one.input_value() for one in inputs] == ["0", "0", "0"]
    assert "rows 0 to 3, columns 0 to 3" in page.inner_text("#live-field-text")
    page.focus("#live-maps")
    for _ in range(14):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert [one.input_value() for one in inputs] == ["1", "1", "0"]
    for _ in range(7):
        if page.is_enabled("#live-forward"):
            page.click("#live-forward")
    assert page.locator("#live-strip [aria-current=step]").inner_text().startswith("softmax")
    assert page.is_disabled("#live-forward")


def test_normalising_restores_every_moved_digit(page):
    """MNIST's own images are what its rules make of them, wherever they lie."""
    assert page.evaluate(
        "() => { const { ordinary, normalise, writeImage, HOME } = live.handwriting;"
        " return ordinary.every(({ bytes }) => [{ right: 3, down: -2, size: 1 }, HOME].every("
        "(move) => String(normalise(writeImage(bytes, move))) === String(bytes))); }"
    )


def test_moving_changes_the_answers_only_without_centring(page, model):
    image, index = seen_by(page, 15)
    page.fill("#live-right", "8")
    page.wait_for_function("/reads \\d+ as/.test(document.querySelector('#live-count').textContent)")
    page.wait_for_timeout(400)
    assert guess(page) == "5"
    lying, centred = map(
        int, re.search(r"reads (\d+) as .* and (\d+) after", page.inner_text("#live-count")).groups()
    )
    images = load_mnist("test")
    ordinary = page.evaluate("live.handwriting.ordinary.map((one) => one.index)")
    shifted = np.zeros((30, 28, 28), np.uint8)
    shifted[:, :, 8:] = images.images[ordinary][:, :, :-8]
    right = predict_logits(model, shifted).argmax(1) == images.labels[ordinary]
    assert lying == right.sum() < centred <= 30
    page.uncheck("#live-normalise")
    settle(page)
    shares = [row.split()[1] for row in page.locator("#live-bars tr").all_inner_texts()]
    expected = softmax(predict_logits(model, shifted[[15]]))[0]
    assert [float(share) for share in shares] == pytest.approx((100 * expected).tolist(), abs=0.06)
    page.click("#live-home")
    settle(page)
    assert guess(page) == "5"
    assert images.labels[index] == 5
    assert len(image) == 784


def test_everything_works_from_a_file_address(browser):
    page, findings = opened(browser, check_pages.SITE.as_uri() + "/")
    draw(page, *STROKES["7"])
    assert guess(page) == "7"
    for _ in range(7):
        page.click("#live-forward")
    assert findings == []
    page.close()


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
