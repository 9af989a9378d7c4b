"""The measure of drift: quiet on more of the same, loud when what comes in is different."""

import json

import numpy as np
import pytest
from scipy import ndimage

from mnist_course.data import load_mnist
from mnist_course.deployment.drift import FEWEST, MEASURES, THRESHOLD, WINDOW, Reference, Window, ink_of
from mnist_course.errors import InputError


def made_up(rng, count):
    """A reference of images as a network might have answered them."""
    sure = rng.beta(20, 1, count).astype(np.float32)
    probabilities = np.zeros((count, 10), np.float32)
    probabilities[np.arange(count), rng.integers(0, 10, count)] = sure
    images = rng.integers(0, 80, (count, 28, 28)).astype(np.uint8)
    images += rng.integers(0, 100, (count, 1, 1)).astype(np.uint8)
    return images, probabilities


def filled(reference, images, probabilities):
    window = Window(reference)
    for image, row in zip(images, probabilities, strict=True):
        window.add(image, row)
    return window


def drifted(window):
    return [name for name, measure in window.compare().items() if measure.drifted]


def test_a_window_of_the_same_images_differs_in_nothing():
    images, probabilities = made_up(np.random.default_rng(0), WINDOW)
    reference = Reference.of(images, probabilities)
    for measure in filled(reference, images, probabilities).compare().values():
        assert measure.window == pytest.approx(measure.reference, abs=1e-6)
        assert measure.statistic == pytest.approx(0, abs=1e-9)
        assert measure.p_value == pytest.approx(1)


def test_chance_alone_seldom_trips():
    """500 windows of the reference's kind; a threshold of 0.05 would trip in dozens of them."""
    rng = np.random.default_rng(1)
    reference = Reference.of(*made_up(rng, 1000))
    size, alarms = 120, 0
    for _ in range(500):
        fresh = Reference.of(*made_up(rng, size))
        window = Window(reference)
        labels = np.repeat(np.arange(10), fresh.counts)
        window._seen.extend(zip(fresh.ink, fresh.confidence, labels, strict=True))
        alarms += bool(drifted(window))
    assert alarms <= 3


def test_more_test_digits_are_no_drift(network):
    images = load_mnist("test").images[:WINDOW]
    window = filled(network.reference, images, network.predict(images))
    assert len(window) == WINDOW
    assert "ink" not in drifted(window)
    assert "classes" not in drifted(window)


@pytest.mark.parametrize(
    ("change", "trips"),
    [
        (lambda images: ndimage.grey_dilation(images, (1, 3, 3)), {"ink"}),
        (lambda images: 255 - images, {"ink", "confidence"}),
        (lambda images: np.roll(images, 7, axis=2), {"confidence", "classes"}),
    ],
    ids=["a thicker pen", "inverted", "not centred"],
)
def test_other_images_trip_the_measures_that_see_it(change, trips, network):
    images = change(load_mnist("test").images[:WINDOW])
    found = drifted(filled(network.reference, images, network.predict(images)))
    assert trips <= set(found)


def test_other_classes_trip_the_classes(network):
    test = load_mnist("test")
    images = test.images[test.labels == 7][:WINDOW]
    window = filled(network.reference, images, network.predict(images))
    assert "classes" in drifted(window)
    measure = window.compare()["classes"]
    assert len(measure.window) == len(measure.reference) == 10
    assert sum(measure.window) == pytest.approx(1)
    assert measure.window[7] > 0.5 > measure.reference[7]


def test_a_few_images_say_nothing_and_old_ones_leave():
    images, probabilities = made_up(np.random.default_rng(2), FEWEST)
    window = Window(Reference.of(images, probabilities), size=FEWEST)
    for image, row in zip(images[1:], probabilities[1:], strict=True):
        window.add(image, row)
    assert window.compare() == {}
    window.add(images[0], probabilities[0])
    assert tuple(window.compare()) == MEASURES
    assert drifted(window) == []
    for _ in range(FEWEST):
        window.add(np.full((28, 28), 255, np.uint8), probabilities[0])
    assert len(window) == FEWEST
    assert window.compare()["ink"].window == 1
    assert set(drifted(window)) == set(MEASURES)


def test_classes_that_neither_holds_are_left_out():
    probabilities = np.tile(np.eye(10, dtype=np.float32)[4], (FEWEST, 1))
    images = np.zeros((FEWEST, 28, 28), np.uint8)
    window = filled(Reference.of(images, probabilities), images, probabilities)
    measure = window.compare()["classes"]
    assert (measure.statistic, measure.p_value) == (0, 1)


def test_ink_is_the_mean_of_the_scaled_pixels(test_digits):
    expected = (test_digits.images / 255.0).mean((1, 2))
    np.testing.assert_allclose(ink_of(test_digits.images), expected, rtol=1e-6)


def test_a_reference_survives_json_exactly(test_digits):
    _, probabilities = made_up(np.random.default_rng(3), len(test_digits))
    reference = Reference.of(test_digits.images, probabilities)
    again = Reference.from_json(reference.to_json())
    for name in ("ink", "confidence", "counts"):
        assert (getattr(again, name) == getattr(reference, name)).all()
    assert again.ink.dtype == again.confidence.dtype == np.float32


@pytest.mark.parametrize(
    "change",
    [
        {"ink": []},
        {"ink": [2.0], "confidence": [1.0]},
        {"counts": [3]},
        {"confidence": [float("nan")] * 2},
    ],
)
def test_a_damaged_reference_is_refused(change):
    fields = {"ink": [0.1, 0.2], "confidence": [0.9, 0.8], "counts": [1, 1]}
    assert len(Reference.from_json(json.dumps(fields)).ink) == 2
    with pytest.raises(InputError, match="damaged"):
        Reference.from_json(json.dumps(fields | change))


def test_the_threshold_shares_the_false_alarms_out():
    assert pytest.approx(1e-3 / 3) == THRESHOLD
