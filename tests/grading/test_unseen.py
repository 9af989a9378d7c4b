"""Exercises judged on predictions: the labels are on the trusted side only."""

import dataclasses

import pytest
from submitting import as_bytes, solved

from mnist_course.errors import InputError
from mnist_course.grading.answers import answer
from mnist_course.grading.authoring import Draft
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.limits import Limits
from mnist_course.grading.marking import mark

MEANS = '''
def predict(images):
    """Return the class whose mean image is nearest."""
    ### BEGIN SOLUTION
    train = load_mnist("train").subset(range(2_000))
    pixels = train.images.reshape(len(train), -1) / 255
    means = np.stack([pixels[train.labels == label].mean(axis=0) for label in range(10)])
    flat = images.reshape(len(images), -1) / 255
    distances = (means**2).sum(axis=1) - 2 * flat @ means.T
    return distances.argmin(axis=1)
    ### END SOLUTION
'''


@pytest.fixture(scope="module")
def nearest(tmp_path_factory):
    """Nearest class mean: about four of five digits are right."""
    draft = Draft("00_means", "Means", unseen={"data": "mnist", "count": 200})
    setup = "import numpy as np\nfrom mnist_course.data import load_mnist\n"
    draft.setup("setup", setup + "from mnist_course.grading import probe, unseen")
    farthest = (
        MEANS.replace("argmin", "argmax")
        .replace("### BEGIN SOLUTION", "")
        .replace("### END SOLUTION", "")
    )
    draft.misconception(
        "farthest", farthest, of="predict", says="You took the farthest mean, not the nearest."
    )
    draft.solution("predict", MEANS, stub="write predict")
    draft.probe(
        "check-predict",
        "predict",
        'probe("predict", predict(unseen()))',
        points=3,
        hints=[],
        at_least=0.6,
    )
    return Exercise.load(draft.write(tmp_path_factory.mktemp("exercises")))


@pytest.fixture(scope="module")
def key(nearest):
    return answer(nearest, 2**77)


def grade(key, source):
    data = as_bytes(solved(key.exercise, predict=source))
    return mark(key, data, sandbox=None, limits=Limits(seconds=60)).probes[0]


def test_the_expected_value_is_the_labels_and_not_the_solutions_guess(key):
    assert key.probes["predict"].expected.shape == (200,)
    assert key.images.shape == (200, 28, 28)


def test_good_predictions_earn_the_points(key):
    result = grade(key, MEANS)
    assert (result.correct, result.points) == (True, 3)


def test_bad_predictions_hear_their_accuracy_and_nothing_of_the_labels(key):
    result = grade(key, "def predict(images):\n    return np.full(len(images), 1)")
    assert result.points == 0
    assert "of the labels are right, at least 60.0% are asked for" in result.message


def test_a_misconception_is_named_by_its_predictions(key):
    result = grade(key, MEANS.replace("argmin", "argmax"))
    assert result.misconception == "farthest"


def test_what_is_no_prediction_is_said_to_be_none(key):
    result = grade(key, "def predict(images):\n    return images[:3] * 1.0")
    assert "expected 200 labels in an array of shape (200,)" in result.message


def test_the_seed_in_the_kernel_does_not_tell_which_images_were_drawn(key):
    looked_up = """
def predict(images):
    from mnist_course.grading import publishing
    from mnist_course.grading.inputs import draw_unseen
    return draw_unseen(publishing._notebook.seed, "mnist", len(images)).labels.astype(int)
"""
    assert not grade(key, looked_up).correct


def test_a_probe_of_labels_needs_unseen_images(nearest):
    cells = [
        dataclasses.replace(c, source=c.source.replace("unseen()", "np.zeros((200, 28, 28))"))
        for c in nearest.cells
    ]
    blind = dataclasses.replace(nearest, unseen=None, cells=tuple(cells))
    with pytest.raises(InputError, match="has at_least but the exercise no unseen images"):
        answer(blind, 5)
