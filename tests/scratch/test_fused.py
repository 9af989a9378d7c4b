"""Convolution, ReLU and pooling in one step agree with the three layers one after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_course.scratch import Conv2D, MaxPool2D, ReLU, Sequential, lenet5
from mnist_course.scratch.fused import ConvReLUPool


@st.composite
def cases(draw):
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    window = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    side = st.tuples(st.integers(0, 2), st.integers(0, 2))
    padding = draw(st.just("same") | st.tuples(side, side))
    size = tuple(draw(st.integers(k + w - 1, k + w + 5)) for k, w in zip(kernel, window, strict=True))
    batch, channels, outputs = (draw(st.integers(1, 3)) for _ in range(3))
    return batch, size, channels, outputs, kernel, window, padding


def run(fuse, case, d_out=None):
    batch, size, channels, outputs, kernel, window, padding = case
    convolution = Conv2D(channels, outputs, kernel, padding=padding, rng=0, dtype=np.float64)
    layers = [convolution, ReLU(), MaxPool2D(window)]
    network = Sequential(layers, (*size, channels), fuse=fuse)
    x = np.random.default_rng(1).standard_normal((batch, *size, channels))
    x[:, : size[0] // 2] = 0  # flat regions make ties
    out = network.forward(x, training=True)
    d_out = np.random.default_rng(2).standard_normal(out.shape)
    d_x = network.backward(d_out)
    both = {"out": out, "input": d_x} | network.gradients()
    network.backward_parameters(d_out)
    alone = {f"{name}, alone": array for name, array in network.gradients().items()}
    return network, both | alone


@given(cases())
@settings(max_examples=100)
def test_output_and_gradients_agree(case):
    fused, ours = run(True, case)
    plain, theirs = run(False, case)
    assert [type(step) for step in fused._steps] == [ConvReLUPool]
    assert [type(step) for step in plain._steps] == [Conv2D, ReLU, MaxPool2D]
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-9, atol=1e-9, err_msg=name)


def test_both_ways_give_lenet5_the_same_outputs():
    images = np.random.default_rng(0).random((5, 28, 28, 1), dtype=np.float32)
    fused = lenet5(seed=4)
    assert [type(step) for step in fused._steps][:2] == [ConvReLUPool] * 2
    plain = Sequential(fused.layers, fused.input_shape, fuse=False)
    np.testing.assert_allclose(fused.forward(images), plain.forward(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "layers",
    [
        [Conv2D(1, 2, 3, stride=2, rng=0), ReLU(), MaxPool2D(2)],
        [Conv2D(1, 2, 3, dilation=2, rng=0), ReLU(), MaxPool2D(2)],
        [Conv2D(1, 2, 3, rng=0), ReLU(), MaxPool2D(3, 2)],
        [Conv2D(1, 500, 3, rng=0), ReLU(), MaxPool2D(2)],
        [Conv2D(1, 2, 3, rng=0), MaxPool2D(2)],
    ],
)
def test_what_cannot_or_should_not_be_fused_is_left_alone(layers):
    network = Sequential(layers, (12, 12, 1))
    assert network._steps == list(layers)


def test_a_window_larger_than_the_convolutions_output_is_refused():
    network = Sequential([Conv2D(1, 1, 3, rng=0), ReLU(), MaxPool2D(2)])
    with pytest.raises(ValueError, match="covers 2x2 pixels but the convolution's output has only 1x1"):
        network.forward(np.zeros((1, 3, 3, 1), np.float32))
