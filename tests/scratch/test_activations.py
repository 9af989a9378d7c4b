"""Activations and their derivatives equal PyTorch's, also where a naive formula overflows."""

import numpy as np
import pytest
import torch

from mnist_course import scratch

PAIRS = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, dim=-1),
}
HARD = [-1e4, -800.0, -30.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 30.0, 800.0, 1e4]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_derivative_equal_pytorch(name, dtype):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 3, (9, 11)), [HARD]]).astype(dtype)
    d_out = rng.standard_normal(x.shape).astype(dtype)
    tensor = torch.tensor(x, requires_grad=True)
    expected = PAIRS[name](tensor)
    expected.backward(torch.tensor(d_out))
    tolerance = {"float32": 1e-6, "float64": 1e-12}[dtype]
    with np.errstate(over="raise", invalid="raise"):
        out = getattr(scratch, name)(x)
        d_x = getattr(scratch, f"{name}_backward")(d_out, x)
    assert out.dtype == d_x.dtype == dtype
    np.testing.assert_allclose(out, expected.detach(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(d_x, tensor.grad, rtol=10 * tolerance, atol=tolerance)


def test_log_softmax_is_finite_where_the_logarithm_of_softmax_is_not():
    logits = np.array([[0.0, 1000.0]])
    np.testing.assert_array_equal(scratch.log_softmax(logits), [[-1000.0, 0.0]])
    with np.errstate(divide="ignore"):
        assert np.isinf(np.log(scratch.softmax(logits))).any()


def test_softmax_along_another_axis():
    logits = np.random.default_rng(0).standard_normal((3, 4, 2))
    np.testing.assert_allclose(scratch.softmax(logits, axis=1).sum(axis=1), 1)


@pytest.mark.parametrize("name", PAIRS)
def test_integers_are_refused(name):
    with pytest.raises(ValueError, match="dtype int64, expected float32 or float64"):
        getattr(scratch, name)(np.arange(3))
