"""A unit's arithmetic ends in PyTorch's number, and every unit can be chosen."""

import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mnist_course.data import scale


def number(text):
    return float(text.replace("−", "-"))


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


@pytest.mark.parametrize("digit", [7, 13, 31])
def test_arithmetic_ends_in_pytorchs_number(page, model, digit):
    image, _ = page.seen_by(digit)
    values = activations(model, image)
    random = np.random.default_rng(digit)
    for layer, value in values.items():
        strongest = np.unravel_index(int(value.argmax()), value.shape)
        for unit in (strongest, random.integers(value.shape)):
            chosen = dict(zip(("map", "row", "column"), map(int, unit), strict=True))
            shown = chosen if value.shape[1] > 1 else {"map": chosen["map"]}
            page.choose(layer, **shown)
            assert number(page.inner_text("#live-arithmetic output")) == pytest.approx(
                float(value[tuple(unit)]), abs=1.01e-4
            ), (layer, unit)


def test_sums_of_the_six_channels_are_pytorchs_and_add_up(page, model):
    image, _ = page.seen_by(12)
    page.choose("conv2", map=9, row=4, column=6)
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
    page.seen_by(7)
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
