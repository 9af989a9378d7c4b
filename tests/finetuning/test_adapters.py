"""Adapters do what their equation says, and biases are the only weights that BitFit trains."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mnist_course.errors import InputError
from mnist_course.finetuning.adapters import Adapter, add_adapters, bias_only
from mnist_course.finetuning.freezing import trainable
from mnist_course.models import build
from mnist_course.pytorch import regularized


def adapter(base, width):
    layer = Adapter(base.double(), width)
    for value in (*layer.down.parameters(), *layer.up.parameters()):
        nn.init.normal_(value)
    return layer


def by_the_equation(layer, h):
    """Apply h + U ReLU(D h + c) + e to rows h (…, d)."""
    down, up = (part.weight.flatten(1) for part in (layer.down, layer.up))
    return h + (h @ down.T + layer.down.bias).clamp(min=0) @ up.T + layer.up.bias


@settings(max_examples=25)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))
def test_an_adapter_behind_a_dense_layer_is_the_equation(inputs, outputs, width):
    layer = adapter(nn.Linear(inputs, outputs), width)
    x = torch.randn(4, inputs, dtype=torch.float64)
    torch.testing.assert_close(layer(x), by_the_equation(layer, layer.base(x)))


@settings(max_examples=25)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 4), st.integers(1, 2), st.integers(0, 2))
def test_an_adapter_behind_a_convolution_is_the_equation_at_every_pixel(
    inputs, outputs, width, stride, padding
):
    layer = adapter(nn.Conv2d(inputs, outputs, 3, stride, padding), width)
    images = torch.randn(2, inputs, 6, 5, dtype=torch.float64)
    expected = by_the_equation(layer, layer.base(images).movedim(1, -1)).movedim(-1, 1)
    torch.testing.assert_close(layer(images), expected)


def test_a_width_costs_what_the_module_says():
    model, width = build("lenet5"), 3
    add_adapters(model, width=width)
    expected = sum(2 * width * d + width + d for d in (6, 16, 120, 84))
    assert trainable(model) == expected + 84 * 10 + 10


@pytest.mark.parametrize("width", [0, -2, 1.5, True, None])
def test_a_width_that_is_no_count_is_refused(width):
    with pytest.raises(InputError, match=r"width is .*; expected a whole number of at least 1"):
        add_adapters(build("lenet5"), width=width)


def test_a_width_beyond_the_widest_layer_is_refused():
    with pytest.raises(InputError, match="width is 121, but the widest layer has 120 outputs"):
        add_adapters(build("lenet5"), width=121)


def test_biases_and_head_are_all_that_trains():
    model = build("lenet5")
    bias_only(model)
    names = {name for name, value in model.named_parameters() if value.requires_grad}
    assert names == {"conv1.bias", "conv2.bias", "fc1.bias", "fc2.bias", "fc3.weight", "fc3.bias"}


def test_the_shift_of_a_normalisation_is_a_bias():
    model = regularized.build(batch_norm=True)
    bias_only(model)
    assert model.norm1.bias.requires_grad
    assert not model.norm1.weight.requires_grad


def test_a_network_without_biases_is_refused():
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 20, bias=False), nn.ReLU(), nn.Linear(20, 10))
    with pytest.raises(InputError, match="no layer of Sequential but its head has a bias"):
        bias_only(model)
