import json

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
        (np.zeros((2, 3)), np.eye(3)[[0, 1]], "one-hot"),
        (np.zeros((2, 3)), np.array([0, 3]), "label 3 has no class"),
        (np.full((2, 3), 1 / 3), np.zeros(2, int), "from_probabilities"),
        (np.zeros((2, 3)), np.zeros(3, int), r"expected \(3, 3\)"),
        (np.zeros((2, 4)), np.zeros(2, int), r"expected \(2, 3\)"),
        (np.zeros((0, 3)), np.zeros(0, int), "at least one row"),
        (np.array([[np.nan, 0, 0]]), np.zeros(1, int), "not finite"),
    ],
)
def test_unusable_outputs_are_refused(logits, labels, message):
    with pytest.raises(InputError, match=message):
        Evaluation(logits, labels, NAMES)


def evaluations(classes=3, largest=12):
    """Evaluations of 1 to `largest` images; classes may be absent, and all may be wrong."""
    images = st.integers(1, largest)
    logits = images.flatmap(
        lambda n: arrays.arrays(np.float64, (n, classes), elements=st.integers(-5, 5).map(float))
    )
    return logits.flatmap(
        lambda z: arrays.arrays(np.int64, len(z), elements=st.integers(0, classes - 1)).map(
            lambda labels: Evaluation(z - 9, labels, NAMES[:classes])
        )
    )


@settings(deadline=None)
@given(result=evaluations())
def test_precision_recall_and_f1_by_counting(result):
    for k in range(3):
        hits = sum((result.predictions == k) & (result.labels == k))
        predicted, true = sum(result.predictions == k), sum(result.labels == k)
        expected = {
            "precision": hits / predicted if predicted else 0,
            "recall": hits / true if true else 0,
            "f1": 2 * hits / (predicted + true) if predicted + true else 0,
        }
        assert {name: values[k] for name, values in result.per_class.items()} == pytest.approx(expected)


@settings(deadline=None)
@given(result=evaluations())
def test_macro_is_scikit_learns(result):
    from sklearn.metrics import precision_recall_fscore_support

    expected = precision_recall_fscore_support(
        result.labels, result.predictions, average="macro", zero_division=0.0
    )
    assert list(result.macro.values()) == pytest.approx(expected[:3])


def test_macro_leaves_out_a_class_that_occurs_nowhere():
    result = Evaluation(np.array([[1.0, 0, 0], [0, 1.0, 0]]), np.array([0, 1]), NAMES)
    assert result.per_class["recall"].tolist() == [1, 1, 0]
    assert result.macro == {"precision": 1, "recall": 1, "f1": 1}


@settings(deadline=None)
@given(result=evaluations(), k=st.integers(1, 3))
def test_top_k_by_sorting(result, k):
    ranked = np.argsort(-result.logits, axis=1, kind="stable")[:, :k]
    share = np.mean([label in row for label, row in zip(result.labels, ranked, strict=True)])
    assert result.top_k(k) == pytest.approx(share)
    assert result.top_k(1) == result.accuracy
    assert result.top_k(3) == 1


def test_top_k_is_scikit_learns_where_no_logits_are_equal():
    from sklearn.metrics import top_k_accuracy_score

    rng = np.random.default_rng(0)
    result = Evaluation(rng.normal(size=(200, 3)), rng.integers(0, 3, 200), NAMES)
    expected = top_k_accuracy_score(result.labels, result.logits, k=2, labels=range(3))
    assert result.top_k(2) == pytest.approx(expected)


@pytest.mark.parametrize("k", [0, 4])
def test_top_k_needs_as_many_classes(k):
    with pytest.raises(InputError, match=f"k is {k}; expected 1 to 3"):
        Evaluation(np.zeros((1, 3)), [0], NAMES).top_k(k)


@settings(deadline=None)
@given(result=evaluations())
def test_confident_errors_are_the_wrong_ones_by_falling_confidence(result):
    found = result.confident_errors()
    assert sorted(found) == np.flatnonzero(result.predictions != result.labels).tolist()
    assert (np.diff(result.probabilities.max(1)[found]) <= 0).all()
    assert result.confident_errors(2).tolist() == found[:2].tolist()


@settings(deadline=None)
@given(result=evaluations(), adaptive=st.booleans())
def test_calibration_adds_up_to_the_accuracy(result, adaptive):
    bins = result.calibration(5, adaptive=adaptive)
    assert np.nansum(bins.accuracy * bins.counts) == pytest.approx(result.correct)
    assert np.nansum(bins.confidence * bins.counts) == pytest.approx(result.confidence.sum())


def test_a_temperature_changes_confidence_and_loss_but_no_prediction():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 3))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    sure = Evaluation(5 * logits, labels, NAMES)
    cooled = sure.at_temperature(sure.best_temperature())
    assert np.array_equal(cooled.predictions, sure.predictions)
    assert cooled.loss < sure.loss
    assert cooled.calibration().error < sure.calibration().error
    assert cooled.best_temperature() == pytest.approx(1)


@pytest.mark.parametrize("temperature", [0, -1, np.inf, np.nan])
def test_a_temperature_is_positive(temperature):
    with pytest.raises(InputError, match="expected a positive number"):
        Evaluation(np.zeros((1, 3)), [0], NAMES).at_temperature(temperature)


@settings(deadline=None)
@given(result=evaluations())
def test_probabilities_come_back_as_they_were_given(result):
    again = Evaluation.from_probabilities(result.probabilities, result.labels, NAMES)
    np.testing.assert_allclose(again.probabilities, result.probabilities, atol=1e-12)
    assert again.loss == pytest.approx(result.loss)


def test_a_probability_of_zero_for_the_truth_costs_a_finite_loss():
    result = Evaluation.from_probabilities([[1.0, 0.0, 0.0]], [1], NAMES)
    assert 700 < result.loss < 750


def test_sigmoids_are_no_distribution():
    with pytest.raises(InputError, match="independent sigmoids"):
        Evaluation.from_probabilities([[0.9, 0.8, 0.1]], [0], NAMES)


@settings(deadline=None)
@given(result=evaluations())
def test_an_evaluation_with_its_outputs_survives_json(result):
    again = Evaluation.from_json(result.to_json(outputs=True))
    assert np.array_equal(again.logits, result.logits)
    assert again.to_dict() == result.to_dict()


@settings(deadline=None)
@given(result=evaluations())
def test_json_holds_every_measure_as_a_finite_number(result):
    fields = json.loads(result.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert fields["correct"] == round(fields["accuracy"] * fields["images"])
    assert fields["interval"]["low"] <= fields["accuracy"] <= fields["interval"]["high"]
    assert np.trace(fields["confusion"]) == fields["correct"]
    assert fields["top_2"] >= fields["accuracy"]
    assert "logits" not in fields


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not an evaluation"),
        ("[1]", "not an evaluation"),
        (Evaluation(np.zeros((1, 3)), [0], NAMES).to_json(), r"no 'logits'; .*outputs=True"),
        ('{"logits": [["a"]], "labels": [0], "class_names": ["x"]}', "not an evaluation"),
        ('{"logits": [[1, 2]], "labels": [0], "class_names": ["x"]}', "expected"),
    ],
)
def test_json_that_is_no_evaluation_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        Evaluation.from_json(text)


def test_save_writes_the_json(tmp_path):
    result = Evaluation(np.zeros((1, 3)), [0], NAMES)
    result.save(tmp_path / "new" / "measures.json")
    assert (tmp_path / "new" / "measures.json").read_text() == result.to_json()


def test_lists_will_do():
    assert Evaluation([[2, 0, 0]], [0], list(NAMES)).accuracy == 1
