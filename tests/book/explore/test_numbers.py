"""What the explorables show is what NumPy and PyTorch say."""

import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mnist_course.data import load_mnist, scale
from mnist_course.scratch import avg_pool2d, max_pool2d

SOBEL = [[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]


def number(text):
    """Return the last number of a text."""
    return float(re.findall(r"[−-]?\d+(?:\.\d+)?", text)[-1].replace("−", "-"))


def digit(label):
    """The first test digit of a class, (28, 28), as the page shows it."""
    test = load_mnist("test")
    return scale(test.images[np.flatnonzero(test.labels == label)[0]][None])[0].astype(np.float64)


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (3, 4, 2), (5, 0, 4), (1, 2, 3)]
)
def test_feature_map_is_pytorchs(explorable, stride, padding, dilation):
    figure = explorable("convolution")
    figure.set(
        digit=3, kernel="vertical edges", stride=stride, padding=padding, dilation=dilation, position=0
    )
    image, kernel = (torch.tensor(x)[None, None] for x in (digit(3), np.array(SOBEL)))
    expected = F.conv2d(image, kernel, stride=stride, padding=padding, dilation=dilation)[0, 0]
    n = len(expected)
    assert figure.captions()[1] == f"output: {n} × {n}"
    assert f"= {n}." in figure.text.inner_text()
    for at in (0, n * n // 2 + n // 2, n * n - 1):
        figure.set(position=at)
        assert number(figure.figure.locator("output").inner_text()) == pytest.approx(
            expected.flatten()[at].item(), abs=0.0051
        )
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    shown = figure.page.evaluate(
        "([kernel, options]) => [...explore.convolution.convolve("
        "explore.pixels.digits[3], kernel, options).output]",
        [np.ravel(SOBEL).tolist(), options],
    )
    np.testing.assert_allclose(shown, expected.flatten(), atol=1e-6)  # the scaled pixels are float32


def test_a_kernel_of_ones_own_counts_what_it_covers(explorable):
    figure = explorable("convolution")
    figure.set(digit=7, kernel="blur", its_size=2, stride=1, padding=0, dilation=1)
    for row in range(2):
        for column in range(2):
            figure.control(f"weight, row {row}, column {column}").fill(str(row - 2 * column))
    figure.set(position=9 * 27 + 12)
    patch = digit(7)[9:11, 12:14]
    cells = figure.figure.locator(".explore-sum td").all_inner_texts()
    assert [float(cell) for cell in cells] == pytest.approx(patch.ravel().tolist(), abs=0.0051)
    assert number(figure.figure.locator("output").inner_text()) == pytest.approx(
        (patch * [[0, -2], [1, -1]]).sum(), abs=0.0051
    )
    assert figure.control("kernel").input_value() == "your own"


def test_rows_that_no_kernel_reaches_are_named(explorable):
    figure = explorable("convolution")
    figure.set(kernel="vertical edges", stride=2, padding=0, dilation=1)
    assert "The last row and column are never read." in figure.text.inner_text()
    figure.set(stride=1)
    assert "never read" not in figure.text.inner_text()


@pytest.mark.parametrize(("rule", "pool"), [("max", max_pool2d), ("mean", avg_pool2d)])
@pytest.mark.parametrize(("window", "stride", "shift"), [(2, 2, 1), (3, 2, 4), (14, 14, 8), (1, 1, 0)])
def test_pooled_maps_change_as_in_numpy(explorable, rule, pool, window, stride, shift):
    figure = explorable("pooling")
    figure.set(digit=4, rule=rule, window=window, stride=stride, moved_by=shift)
    before = digit(4)
    after = np.zeros_like(before)
    after[:, shift:] = before[:, : 28 - shift]
    maps = [pool(image[None, ..., None], window, stride)[0, ..., 0] for image in (before, after)]
    _, moved, pooled, both = figure.captions()
    assert pooled == "pooled: {} × {}".format(*maps[0].shape)
    for text, (old, new) in ((moved, (before, after)), (both, maps)):
        expected = np.linalg.norm(new - old) / np.linalg.norm(old)
        assert number(text) == pytest.approx(expected, abs=0.0051)


def test_a_shift_by_whole_strides_is_called_one_and_no_other_is(explorable):
    figure = explorable("pooling")
    figure.set(digit=4, rule="max", window=2, stride=2, moved_by=4)
    assert figure.text.inner_text().startswith("The pooled map has moved by exactly 2 cells")
    figure.set(moved_by=3)
    assert "3 is no multiple of the stride 2" in figure.text.inner_text()


@pytest.mark.parametrize(("power", "temperature"), [(-1, 0.1), (0, 1.0), (0.5, 3.2), (1.5, 32.0)])
def test_probabilities_are_pytorchs(explorable, power, temperature):
    figure = explorable("softmax")
    logits = {"3": -4.5, "5": 0.3, "8": 2.2, "9": 1.9}
    figure.set(**{f"logit of the {name}": value for name, value in logits.items()})
    figure.set(added_to_all=100, temperature=power)
    expected = F.softmax(torch.tensor([*logits.values()], dtype=torch.float64) / temperature, dim=0)
    cells = figure.figure.locator("tr td:last-child").all_inner_texts()
    assert [float(cell) for cell in cells] == pytest.approx(expected.tolist(), abs=5.1e-5)


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.999])
def test_cross_entropy_and_its_share_are_pytorchs(explorable, p):
    figure = explorable("cross_entropy")
    figure.set(probability_p=p)
    logits = torch.tensor([[np.log(p), np.log(1 - p)]] + 99 * [[np.log(0.99), np.log(0.01)]])
    logits.requires_grad_()
    losses = F.cross_entropy(logits, torch.zeros(100, dtype=torch.long), reduction="none")
    losses[0].backward()
    loss, pull, mean, share = map(number, figure.figure.locator("td").all_inner_texts())
    assert loss == pytest.approx(losses[0].item(), abs=5.1e-4)
    assert pull == pytest.approx(-logits.grad[0, 0].item(), abs=5.1e-4)
    assert mean == pytest.approx(losses.mean().item(), abs=5.1e-5)
    assert share == pytest.approx(100 * (losses[0] / losses.sum()).item(), abs=0.051)


@pytest.mark.parametrize(("power", "rate"), [(-2, 0.01), (-1.02, 0.0955), (-0.99, 0.102)])
def test_the_path_is_pytorchs_descent(explorable, power, rate):
    figure = explorable("learning_rate")
    figure.set(learning_rate=power, steep_curvature=20, steps=30)
    theta = torch.tensor([-4.0, 1.0], dtype=torch.float64, requires_grad=True)
    curvature = torch.tensor([1.0, 20.0], dtype=torch.float64)
    optimizer = torch.optim.SGD([theta], lr=rate)
    for _ in range(30):
        optimizer.zero_grad()
        (curvature * theta**2).sum().div(2).backward()
        optimizer.step()
    path = figure.page.evaluate("(rate) => explore.descend(rate, 20, 30)", rate)
    np.testing.assert_allclose(path[-1], theta.detach(), rtol=1e-9)
    text = figure.text.inner_text()
    assert number(text.removesuffix(".")) == pytest.approx(
        (curvature * theta.detach() ** 2).sum().item() / 2, abs=5.1e-4
    )
    assert ("it diverges" in text) == (rate > 2 / 20)
    assert "The limit is 2 / 20 = 0.1." in text
