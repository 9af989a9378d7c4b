"""Losses and their gradients equal PyTorch's; NaN and labels out of range are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mnist_course.scratch import (
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    cross_entropy,
    cross_entropy_and_gradient,
    cross_entropy_gradient,
    mean_squared_error,
    mean_squared_error_gradient,
)

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(
    st.integers(1, 7),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.sampled_from([1.0, 100.0, 1e4]),
)
@settings(max_examples=50)
def test_cross_entropy_equals_pytorch(dtype, batch, classes, smoothing, scale):
    rng = np.random.default_rng(0)
    logits = (scale * rng.standard_normal((batch, classes))).astype(dtype)
    labels = rng.integers(0, classes, batch)
    tensor = torch.tensor(logits, requires_grad=True)
    expected = F.cross_entropy(tensor, torch.tensor(labels), label_smoothing=smoothing)
    expected.backward()
    options, tolerance = {"label_smoothing": smoothing}, TOLERANCE[dtype]
    loss, gradient = cross_entropy_and_gradient(logits, labels, **options)
    assert loss == pytest.approx(expected.item(), rel=tolerance, abs=tolerance)
    assert loss == cross_entropy(logits, labels, **options)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, tensor.grad, rtol=tolerance, atol=tolerance)
    assert (gradient == cross_entropy_gradient(logits, labels, **options)).all()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("from_logits", [False, True])
def test_binary_cross_entropy_equals_pytorch(dtype, from_logits):
    rng = np.random.default_rng(0)
    predictions = np.array([[-900.0, 900.0, 40.0, 0.0, *rng.normal(0, 2, 6)]])
    if not from_logits:
        predictions = np.array([[0.0, 1.0, 0.0, 1.0, *rng.uniform(0.01, 0.99, 6)]])
    targets = np.array([[1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.3, 0.5, 0.0, 1.0]])
    predictions, targets = predictions.astype(dtype), targets.astype(dtype)
    tensor = torch.tensor(predictions, requires_grad=True)
    theirs = F.binary_cross_entropy_with_logits if from_logits else F.binary_cross_entropy
    expected = theirs(tensor, torch.tensor(targets))
    expected.backward()
    options = {"from_logits": from_logits}
    loss = binary_cross_entropy(predictions, targets, **options)
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    gradient = binary_cross_entropy_gradient(predictions, targets, **options)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-5, atol=1e-7)


def test_the_wrong_sign_would_reward_confident_mistakes():
    """`-y log p + (1 - y) log(1 - p)`, as one reads it, falls without bound for y = 0, p -> 1."""
    mistakes, targets = np.array([0.9, 0.999]), np.zeros(2)
    wrong = (1 - targets) * np.log(1 - mistakes)
    assert wrong[1] < wrong[0] < 0
    right = [binary_cross_entropy(mistakes[i : i + 1], targets[:1]) for i in (0, 1)]
    assert right[1] > right[0] > 0


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_mean_squared_error_equals_pytorch(dtype):
    rng = np.random.default_rng(0)
    predictions, targets = rng.standard_normal((2, 5, 3)).astype(dtype)
    tensor = torch.tensor(predictions, requires_grad=True)
    expected = F.mse_loss(tensor, torch.tensor(targets))
    expected.backward()
    assert mean_squared_error(predictions, targets) == pytest.approx(expected.item(), rel=1e-6)
    gradient = mean_squared_error_gradient(predictions, targets)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-6)


LOGITS, LABELS = np.zeros((2, 3)), np.array([0, 2])


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS, np.array([0, 3]), r"labels run from 0 to 3, expected 0 to 2"),
        (LOGITS, np.array([-1, 2]), r"labels run from -1 to 2"),
        (LOGITS, np.array([0.0, 1.0]), r"labels are float64, expected an integer array"),
        (LOGITS, [0, 1], r"labels are list"),
        (LOGITS, np.eye(3, dtype=int)[:2], r"turn one-hot rows into integers with .argmax"),
        (LOGITS, np.array([0]), r"labels have shape \(1,\), expected \(2,\)"),
        (np.array([[0.0, np.nan, 0.0]] * 2), LABELS, r"logits contains 2 values that are NaN"),
        (np.array([[0.0, np.inf, 0.0]] * 2), LABELS, r"NaN or infinite"),
        (LOGITS.astype(int), LABELS, r"dtype int64"),
        (LOGITS[0], LABELS, r"expected 2"),
        (LOGITS[:0], LABELS[:0], r"no rows"),
    ],
)
def test_unusable_classification_input_is_refused(logits, labels, message):
    for function in (cross_entropy, cross_entropy_gradient):
        with pytest.raises(ValueError, match=message):
            function(logits, labels)


def test_unusable_smoothing_is_refused():
    with pytest.raises(ValueError, match="label_smoothing is 1"):
        cross_entropy(LOGITS, LABELS, label_smoothing=1)


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        (np.array([1.5]), np.array([1.0]), "for scores pass from_logits=True"),
        (np.array([0.5]), np.array([2.0]), "targets run from 2.0 to 2.0"),
        (np.array([0.5]), np.array([1.0, 0.0]), "targets has shape"),
        (np.array([np.nan]), np.array([1.0]), "NaN"),
        (np.array([0.5], np.float32), np.array([1.0]), "expected one dtype"),
        (np.array([]), np.array([]), "empty"),
    ],
)
def test_unusable_binary_input_is_refused(predictions, targets, message):
    with pytest.raises(ValueError, match=message):
        binary_cross_entropy(predictions, targets)
