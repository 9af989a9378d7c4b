import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_course.calibration import best_temperature, calibrate
from mnist_course.errors import InputError

PREDICTIONS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def by_definition(confidence, correct, bins):
    """Expected calibration error as Guo et al. write it: bins ((b - 1) / B, b / B], one at a time."""
    total = 0.0
    for b in range(bins):
        low, high = b / bins, (b + 1) / bins
        inside = (confidence > low) & (confidence <= high)
        if b == 0:
            inside |= confidence == 0
        if inside.any():
            total += inside.sum() * abs(confidence[inside].mean() - correct[inside].mean())
    return total / len(confidence)


@settings(deadline=None)
@given(predictions=PREDICTIONS, bins=st.sampled_from([1, 2, 4, 16, 64]))
def test_the_error_equals_its_definition(predictions, bins):
    confidence, correct = map(np.array, zip(*predictions, strict=True))
    result = calibrate(confidence, correct, bins=bins)
    assert result.error == pytest.approx(by_definition(confidence, correct, bins), abs=1e-12)
    assert result.counts.sum() == len(confidence)
    assert len(result.edges) == bins + 1


@settings(deadline=None)
@given(predictions=PREDICTIONS, bins=st.integers(1, 50))
def test_adaptive_bins_hold_equally_many(predictions, bins):
    confidence, correct = map(np.array, zip(*predictions, strict=True))
    result = calibrate(confidence, correct, bins=bins, adaptive=True)
    assert len(result.counts) == min(bins, len(confidence))
    assert np.ptp(result.counts) <= 1
    assert (np.diff(result.edges) >= 0).all()
    assert (np.diff(result.confidence) >= 0).all()


def test_the_bins_follow_scikit_learns_calibration_curve():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(0)
    confidence = rng.random(500)
    correct = rng.random(500) < confidence**2
    result = calibrate(confidence, correct, bins=10)
    share, mean = calibration_curve(correct, confidence, n_bins=10)
    np.testing.assert_allclose(result.accuracy, share)
    np.testing.assert_allclose(result.confidence, mean)


def test_by_hand_one_bin_too_sure_and_one_not_sure_enough():
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.4, 0.4])
    correct = np.array([True, True, False, False, True, True])
    result = calibrate(confidence, correct, bins=2)
    np.testing.assert_allclose(result.gaps, [-0.6, 0.4])
    assert result.error == pytest.approx((2 * 0.6 + 4 * 0.4) / 6)
    assert result.maximum_error == pytest.approx(0.6)


def test_an_empty_bin_has_no_accuracy_and_counts_for_nothing():
    result = calibrate(np.array([0.95, 1.0]), np.array([True, True]), bins=10)
    assert np.isnan(result.accuracy[:9]).all()
    assert result.error == pytest.approx(0.025)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    result = calibrate(np.array([0.5, 1.0]), np.array([True, True]), bins=2)
    assert result.counts.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("confidence", "correct", "bins", "message"),
    [
        ([], [], 15, "at least one"),
        ([0.5], [True, False], 15, r"\(1,\) and correct \(2,\)"),
        ([[0.5]], [[True]], 15, r"expected \(N,\)"),
        ([3.2], [True], 15, "not logits"),
        ([np.nan], [True], 15, "outside 0 to 1"),
        ([0.5], [True], 0, "bins is 0"),
    ],
)
def test_bad_input_is_refused(confidence, correct, bins, message):
    with pytest.raises(InputError, match=message):
        calibrate(np.array(confidence), np.array(correct), bins=bins)


def overconfident(seed, factor, count=2000):
    """Logits that are `factor` times those from which the labels were drawn."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 4), scale=2)
    gumbel = rng.gumbel(size=logits.shape)
    return factor * logits, (logits + gumbel).argmax(1)


@pytest.mark.parametrize("factor", [0.01, 0.5, 1.0, 3.0, 200.0])
def test_the_temperature_undoes_a_known_factor(factor):
    logits, labels = overconfident(0, factor)
    assert best_temperature(logits, labels) == pytest.approx(factor, rel=0.1)


def test_the_temperature_is_the_one_that_a_search_for_the_least_loss_finds():
    import torch
    from scipy.optimize import minimize_scalar

    logits, labels = map(torch.tensor, overconfident(1, 2.5))
    found = minimize_scalar(
        lambda t: torch.nn.functional.cross_entropy(logits / t, labels).item(),
        bounds=(0.1, 10),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert best_temperature(logits.numpy(), labels.numpy()) == pytest.approx(found.x, rel=1e-5)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([[2.0, 0.0], [0.0, 1.0]], [0, 1], "every image is classified right"),
        ([[2.0, 0.0], [0.0, 1.0]], [1, 0], "no better than equal probabilities"),
        ([[1.0, 1.0]], [0], "no better than equal probabilities"),
    ],
)
def test_without_a_best_temperature_it_says_why(logits, labels, message):
    with pytest.raises(InputError, match=message):
        best_temperature(np.array(logits), np.array(labels))


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 1)), min_size=1, max_size=30
    )
)
def test_the_temperature_is_positive_or_refused(rows):
    *columns, labels = map(np.array, zip(*rows, strict=True))
    try:
        temperature = best_temperature(np.stack(columns, 1), labels)
    except InputError:
        return
    assert 0 < temperature < np.inf
