import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation

NAMES = ("cat", "dog", "owl")
LOGITS = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-80, 80, width=32)
)


@settings(deadline=None)
@given(logits=LOGITS, data=st.data())
def test_agrees_with_torch_and_scikit_learn(logits, data):
    import torch
    from sklearn import metrics

    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(logits), max_size=len(logits))))
    result = Evaluation(logits, labels, NAMES)
    loss = torch.nn.functional.cross_entropy(
        torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)
    )
    assert result.loss == pytest.approx(loss.item(), abs=1e-9)
    np.testing.assert_allclose(result.probabilities.sum(1), 1)
    assert result.accuracy == metrics.accuracy_score(labels, result.predictions)
    expected = metrics.confusion_matrix(labels, result.predictions, labels=range(3))
    assert result.confusion.tolist() == expected.tolist()


def test_extreme_logits_do_not_overflow():
    result = Evaluation(np.array([[1e30, -1e30, 0]], np.float32), np.array([0]), NAMES)
    assert result.loss == 0
    assert np.isfinite(result.probabilities).all()


def test_wilson_interval_by_its_formula():
    labels = np.zeros(100, int)
    logits = np.zeros((100, 3))
    logits[:7, 1] = 1  # 93 of 100 correct
    z, n, p = 1.959964, 100, 0.93
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert Evaluation(logits, labels, NAMES).interval() == pytest.approx(
        (centre - half, centre + half), abs=1e-6
    )


def test_report_counts_by_hand():
    # true 0 0 1 1 2, predicted 0 1 1 1 0
    logits = np.eye(3)[[0, 1, 1, 1, 0]]
    result = Evaluation(logits, np.array([0, 0, 1, 1, 2]), NAMES)
    np.testing.assert_allclose(result.per_class["precision"], [1 / 2, 2 / 3, 0])
    np.testing.assert_allclose(result.per_class["recall"], [1 / 2, 1, 0])
    np.testing.assert_allclose(result.per_class["f1"], [1 / 2, 4 / 5, 0])
    lines = result.report().splitlines()
    assert lines[0].startswith("accuracy 0.6000  (95 % interval ")
    assert lines[4].split() == ["dog", "0.6667", "1.0000", "0.8000", "2"]


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((2, 3)), np.zeros(3, int), r"expected \(3, 3\)"),
        (np.zeros((2, 4)), np.zeros(2, int), r"expected \(2, 3\)"),
        (np.zeros((0, 3)), np.zeros(0, int), "at least one row"),
        (np.array([[np.nan, 0, 0]]), np.zeros(1, int), "not finite"),
    ],
)
def test_unusable_outputs_are_refused(logits, labels, message):
    with pytest.raises(InputError, match=message):
        Evaluation(logits, labels, NAMES)
