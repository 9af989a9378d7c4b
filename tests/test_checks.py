import numpy as np
import pytest

from mnist_course.checks import integer_labels, require_logits, require_probabilities
from mnist_course.errors import InputError


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(3)[[0, 1]], r"\(2, 3\), so they are one-hot; .*argmax"),
        (np.zeros((2, 1), int), r"\(2, 1\); expected \(N,\)"),
        (np.array([0.0, 1.0]), "float64; expected integers from 0 to 2"),
        (np.array(["0", "1"]), "expected integers"),
        (np.array([0, 3]), "label 3 has no class; expected 0 to 2"),
        (np.array([-1, 9]), "label -1 has no class"),
    ],
)
def test_labels_that_are_no_integers_of_a_class_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        integer_labels(labels, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64])
def test_labels_keep_their_integer_type(dtype):
    assert integer_labels(np.array([2, 0], dtype), 3).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_are_no_logits(dtype):
    weights = np.random.default_rng(0).random((50, 10))
    probabilities = (weights / weights.sum(1, keepdims=True)).astype(dtype)
    with pytest.raises(InputError, match="from_probabilities"):
        require_logits(probabilities, (50, 10))


@pytest.mark.parametrize(
    "logits",
    [
        np.eye(3),
        np.log([[0.2, 0.8], [0.5, 0.5]]),
        np.array([[0.25, 0.75]]),
        np.array([[0.25, 0.75], [0.5, 0.75]]),
        np.zeros((4, 2)),
    ],
    ids=["votes", "log-probabilities", "one row", "one sum off", "zeros"],
)
def test_what_may_be_logits_passes(logits):
    require_logits(logits, logits.shape)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.array([[1.2, -0.2]]), "-0.2; expected 0 to 1"),
        (np.array([[np.nan, 1.0]]), "nan; expected 0 to 1"),
        (np.array([[0.5, 0.5], [0.9, 0.8]]), r"add up to 1\.7; expected 1"),
        (np.array([0.5, 0.5]), r"shape \(2,\)"),
        (np.zeros((0, 2)), r"expected \(N, K\)"),
    ],
)
def test_rows_that_are_no_distribution_are_refused(probabilities, message):
    with pytest.raises(InputError, match=message):
        require_probabilities(probabilities)
