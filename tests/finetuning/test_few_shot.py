"""A few examples per class: how they are drawn, and what is made of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize

from mnist_course.errors import InputError
from mnist_course.finetuning.features import features
from mnist_course.finetuning.few_shot import CLASSIFIERS, Prototypes, draw
from mnist_course.pytorch.models import build


@settings(max_examples=20)
@given(shots=st.integers(1, 20), seed=st.integers(0, 99))
def test_every_class_is_drawn_that_often(shots, seed, test_digits):
    assert draw(test_digits, shots, seed=seed).counts().tolist() == [shots] * 10


def pixels(dataset):
    return {image.tobytes() for image in dataset.images}


def test_no_example_is_drawn_twice(test_digits):
    assert pixels(draw(test_digits, 20, seed=0)) == pixels(test_digits)


def test_more_shots_hold_the_fewer(test_digits):
    assert pixels(draw(test_digits, 2, seed=3)) < pixels(draw(test_digits, 5, seed=3))


def test_the_seed_fixes_the_draw(test_digits):
    first, again, other = (pixels(draw(test_digits, 3, seed=seed)) for seed in (4, 4, 5))
    assert first == again != other


def test_too_many_and_too_few_shots_are_refused(test_digits):
    with pytest.raises(InputError, match="class '0' has 20 images; 21 per class"):
        draw(test_digits, 21, seed=0)
    with pytest.raises(InputError, match="at least 1"):
        draw(test_digits, 0, seed=0)


@st.composite
def examples(draw_):
    """Features of 2–4 classes, each with an example, and queries."""
    classes, width = draw_(st.integers(2, 4)), draw_(st.integers(1, 5))
    rng = np.random.default_rng(draw_(st.integers(0, 2**16)))
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, draw_(st.integers(0, 9)))])
    return rng.normal(size=(len(labels), width)), labels, rng.normal(size=(20, width))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # theirs, one example per class
@settings(max_examples=50)
@given(examples())
def test_prototypes_are_scikit_learns_nearest_centroid(given_):
    known, labels, queries = given_
    ours, theirs = Prototypes().fit(known, labels), NearestCentroid().fit(known, labels)
    np.testing.assert_allclose(ours.means, theirs.centroids_)
    np.testing.assert_array_equal(ours.predict(queries), theirs.predict(queries))


def test_distances_are_squared_euclidean():
    known = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 5.0]])
    distances = Prototypes().fit(known, np.array([0, 0, 1])).distances(np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(distances, [[4.0, 10.0]])


@settings(max_examples=50)
@given(examples())
def test_the_cosine_compares_directions(given_):
    known, labels, queries = given_
    ours = Prototypes("cosine").fit(known, labels)
    means = np.stack([normalize(known)[labels == k].mean(axis=0) for k in np.unique(labels)])
    expected = 1 - normalize(queries) @ normalize(means).T
    np.testing.assert_allclose(ours.distances(queries), expected, atol=1e-12)
    np.testing.assert_allclose(ours.distances(7 * queries), expected, atol=1e-12)


def test_a_vector_of_zeros_has_no_direction_and_no_error():
    ours = Prototypes("cosine").fit(np.eye(2), np.array([0, 1]))
    np.testing.assert_array_equal(ours.distances(np.zeros((1, 2))), [[1, 1]])


def test_classes_keep_their_numbers():
    ours = Prototypes().fit(np.array([[0.0], [9.0]]), np.array([7, 3], np.uint8))
    assert ours.predict(np.array([[1.0], [8.0]])).tolist() == [7, 3]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_beats_chance_on_real_digits(name, train_digits, test_digits):
    network = build("lenet5", seed=0)  # even untrained its features keep what is alike together
    known = draw(train_digits, 5, seed=0)
    classifier = CLASSIFIERS[name]().fit(features(network, known.images, "conv2"), known.labels)
    answers = classifier.predict(features(network, test_digits.images, "conv2"))
    assert (answers == test_digits.labels).mean() > 0.4


@pytest.mark.parametrize(
    ("known", "labels", "queries", "message"),
    [
        (np.ones((2, 3, 1)), [0, 1], np.ones((1, 3)), "a row per image"),
        (np.ones((0, 3)), [], np.ones((1, 3)), "at least one example"),
        (np.ones((2, 3)), [0], np.ones((1, 3)), r"\(N, D\) and \(N,\)"),
        (np.ones((2, 3)), [0, 1], np.ones((1, 4)), "have 4 columns and the prototypes 3"),
    ],
)
def test_unfitting_features_are_refused(known, labels, queries, message):
    with pytest.raises(InputError, match=message):
        Prototypes().fit(known, np.array(labels)).predict(queries)


def test_prototypes_that_saw_nothing_and_an_unknown_metric_are_refused():
    with pytest.raises(InputError, match="call fit first"):
        Prototypes().predict(np.ones((1, 2)))
    with pytest.raises(InputError, match="choose one of euclidean, cosine"):
        Prototypes("manhattan")
