"""Pooling and its gradients equal PyTorch's, ties and overlapping windows included."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mnist_course.scratch import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)

PAIRS = {
    "max": (max_pool2d, max_pool2d_backward, F.max_pool2d),
    "avg": (avg_pool2d, avg_pool2d_backward, F.avg_pool2d),
}


@st.composite
def cases(draw):
    size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.none() | st.tuples(st.integers(1, 5), st.integers(1, 5)))
    height, width = (draw(st.integers(s, s + 7)) for s in size)
    shape = (draw(st.integers(1, 3)), height, width, draw(st.integers(1, 3)))
    levels = draw(st.integers(1, 4))  # few levels make many ties
    return shape, size, stride, levels


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(cases())
@settings(max_examples=100)
def test_value_and_gradient_equal_pytorch(kind, dtype, case):
    shape, size, stride, levels = case
    ours, ours_backward, theirs = PAIRS[kind]
    rng = np.random.default_rng(0)
    images = rng.integers(-levels, levels + 1, shape).astype(dtype)
    tensor = torch.tensor(images, requires_grad=True)
    expected = theirs(tensor.permute(0, 3, 1, 2), size, stride).permute(0, 2, 3, 1)
    out = ours(images, size, stride)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, expected.detach(), rtol=1e-6, atol=1e-6)
    d_out = rng.standard_normal(out.shape).astype(dtype)
    expected.backward(torch.tensor(d_out))
    d_images = ours_backward(d_out, images, size, stride)
    assert d_images.dtype == dtype
    np.testing.assert_allclose(d_images, tensor.grad, rtol=1e-5, atol=1e-5)


def test_the_first_of_equal_maxima_gets_the_gradient():
    images = np.zeros((1, 2, 2, 1))
    d_images = max_pool2d_backward(np.ones((1, 1, 1, 1)), images)
    assert d_images[0, :, :, 0].tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d])
@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.ones((1, 2, 2, 1)), {"size": 3}, "covers 3x3 pixels"),
        (np.ones((1, 4, 4, 1)), {"stride": 0}, "stride is 0"),
        (np.ones((1, 4, 4, 1)), {"size": 0}, "size is 0"),
        (np.ones((1, 4, 4, 1), int), {}, "expected float32 or float64"),
        (np.ones((4, 4)), {}, "expected 4"),
    ],
)
def test_what_does_not_fit_is_refused(pool, images, options, message):
    with pytest.raises(ValueError, match=message):
        pool(images, **options)


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="d_out has shape"):
        max_pool2d_backward(np.ones((1, 4, 4, 1)), np.ones((1, 4, 4, 1)))
