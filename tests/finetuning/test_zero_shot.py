"""Classes that were never seen, recognised by their description."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from mnist_course.data import load_mnist
from mnist_course.errors import InputError
from mnist_course.finetuning.zero_shot import (
    STROKES,
    ByAttributes,
    ByEmbedding,
    attribute_table,
    printed_digits,
)

SEEN, UNSEEN = [0, 1, 2, 3], [4, 5]
# three attributes; class 4 and class 5 are combinations that no seen class has
TABLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]])


def noisy(classes, seed, count=40):
    """Features in which every attribute shows on an axis of its own, under noise."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(classes, count)
    return 2 * TABLE[labels] + rng.normal(scale=0.3, size=(len(labels), 3)), labels


@pytest.mark.parametrize("kind", [ByAttributes, ByEmbedding])
def test_unseen_combinations_of_seen_attributes_are_recognised(kind):
    features, labels = noisy(UNSEEN, seed=1)
    answers = kind(TABLE).fit(*noisy(SEEN, seed=0)).predict(features, UNSEEN)
    assert (answers == labels).mean() > 0.95


@pytest.mark.parametrize("kind", [ByAttributes, ByEmbedding])
def test_only_the_classes_asked_for_are_answered(kind):
    features, _ = noisy(SEEN, seed=1)
    answers = kind(TABLE).fit(*noisy(SEEN, seed=0)).predict(features, [5, 1])
    assert set(answers) == {1, 5}


def test_attributes_multiply_as_the_equation_says():
    known, labels = noisy(SEEN, seed=0)
    query = noisy(UNSEEN, seed=2, count=3)[0]
    scaled = (known - known.mean(0)) / known.std(0), (query - known.mean(0)) / known.std(0)
    scores = np.ones((len(query), 6))
    for m in range(3):
        probe = LogisticRegression(max_iter=1000).fit(scaled[0], TABLE[labels][:, m])
        present = probe.predict_proba(scaled[1])[:, 1]
        prior = TABLE[SEEN][:, m].mean()
        for k in range(6):
            scores[:, k] *= present / prior if TABLE[k, m] else (1 - present) / (1 - prior)
    ours = ByAttributes(TABLE).fit(known, labels)
    np.testing.assert_array_equal(ours.predict(query, range(6)), scores.argmax(axis=1))


def test_the_map_is_scikit_learns_ridge_regression():
    known, labels = noisy(SEEN, seed=0)
    query = noisy(UNSEEN, seed=2, count=3)[0]
    scaled = (known - known.mean(0)) / known.std(0), (query - known.mean(0)) / known.std(0)
    vectors = TABLE - TABLE.mean(axis=0)
    mapped = Ridge(alpha=5.0).fit(scaled[0], vectors[labels]).predict(scaled[1])
    cosines = [[z @ v / np.linalg.norm(z) / np.linalg.norm(v) for v in vectors] for z in mapped]
    ours = ByEmbedding(TABLE, alpha=5.0).fit(known, labels)
    np.testing.assert_array_equal(ours.predict(query, range(6)), np.argmax(cosines, axis=1))


def test_an_attribute_that_all_seen_classes_share_is_left_out():
    table = np.column_stack([TABLE, [1, 1, 1, 1, 0, 1]])
    known, labels = noisy(SEEN, seed=0)
    assert ByAttributes(table).fit(known, labels).learned.tolist() == [0, 1, 2]


def test_seen_classes_that_differ_in_nothing_are_refused():
    with pytest.raises(InputError, match="differ in no attribute"):
        ByAttributes(TABLE).fit(np.ones((2, 3)), np.array([0, 0]))


@pytest.mark.parametrize("kind", [ByAttributes, ByEmbedding])
def test_predicting_before_learning_is_refused(kind):
    with pytest.raises(InputError, match="has been learned"):
        kind(TABLE).predict(np.ones((1, 3)), UNSEEN)


def test_tables_of_other_numbers_and_shapes_are_refused():
    with pytest.raises(InputError, match="each number 0 or 1"):
        ByAttributes(TABLE * 2)
    with pytest.raises(InputError, match="a row per class"):
        ByEmbedding(TABLE[0])
    with pytest.raises(InputError, match="not negative"):
        ByEmbedding(TABLE, alpha=-1)


def test_every_digit_has_a_row_of_its_own():
    assert len(np.unique(attribute_table(), axis=0)) == 10


def test_every_attribute_tells_some_digits_from_others():
    assert all(0 < share < 1 for share in attribute_table().mean(axis=0)), STROKES


def test_printed_digits_stand_where_mnist_puts_its_digits():
    digits = printed_digits().astype(float)
    assert digits.shape == (10, 28, 28)
    mass = digits.sum((1, 2))
    centres = [(digits.sum(axis) @ np.arange(28)) / mass for axis in (1, 2)]
    assert np.abs(np.array(centres) - 13.5).max() <= 0.5 + 1e-9
    heights = [np.ptp(np.flatnonzero(image.sum(1))) + 1 for image in digits]
    assert set(heights) == {20}


def test_a_printed_digit_looks_more_like_its_own_class_than_like_most_others():
    train = load_mnist("train")
    means = np.stack([train.images[train.labels == k].mean(0).ravel() for k in range(10)])
    similar = np.corrcoef(printed_digits().reshape(10, -1), means)[:10, 10:]
    less_alike = (similar < similar.diagonal()[:, None]).sum(axis=1)
    assert less_alike.min() >= 5
