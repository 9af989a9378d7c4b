"""The systems of the five articles this course grew out of, each trained for a few seconds.

The full runs are benchmarks; what they reached is in benchmarks/results, and is held here against what
each article promises.
"""

import json

import articles
import lenet5_adam
import measure
import numpy as np
import pytest
import simple_cnn_sgd
from over_seeds import draw_as_pytorch_does

from mnist_course import build
from mnist_course.data import load_mnist, scale
from mnist_course.keras.models import vgg16_transfer
from mnist_course.models import wing

GOAL = 0.985
"""Test accuracy that each network must reach within its article's epochs."""

PRINTED = {
    "000": articles.RECIPES["000, dense_cnn"],
    "001": articles.RECIPES["001, small_cnn"],
    "002": simple_cnn_sgd.RECIPE,
    "003": lenet5_adam.RECIPE,
    "004": articles.RECIPES["004, single_conv_cnn"],
}
"""The recipe that each article prints."""

SHORTENED = {
    # article: training images, epochs, accuracy to be reached on 2,000 test images
    "000": (6_000, 3, 0.95),
    "001": (6_000, 4, 0.945),
    "002": (20_000, 8, 0.915),
    "003": (20_000, 2, 0.955),
    "004": (6_000, 4, 0.92),
}


@pytest.fixture(scope="module")
def test_images():
    return load_mnist("test").subset(range(0, 10_000, 5))


def first_images(count):
    return load_mnist("train").subset(range(count))


def started(recipe, seed=0):
    """Return the recipe's untrained network, its wing and what goes to `fit`."""
    settings = {key: value for key, value in recipe.items() if key != "validation_share"}
    framework, name = settings.pop("framework"), settings.pop("model")
    model = build(name, framework, seed=seed)
    if settings.pop("initialisation", "package") == "pytorch":
        draw_as_pytorch_does(model, seed)
    return model, wing(framework, "training"), {**settings, "seed": seed, "progress": False}


def committed(name, label):
    """Return a variant of a results file."""
    results = json.loads((measure.RESULTS / f"{name}.json").read_text())
    return results["variants"][label]


@pytest.mark.parametrize("article", PRINTED)
def test_the_shortened_run_learns_what_a_linear_classifier_cannot(article, test_images):
    count, epochs, threshold = SHORTENED[article]
    model, training, settings = started(PRINTED[article])
    training.fit(model, first_images(count), **{**settings, "epochs": epochs})
    assert training.evaluate(model, test_images).accuracy >= threshold


@pytest.mark.parametrize("count", sorted({count for count, _, _ in SHORTENED.values()}))
def test_a_linear_classifier_misses_the_thresholds(count, test_images):
    from sklearn.linear_model import LogisticRegression

    train = first_images(count)
    pixels, unseen = (scale(part.images).reshape(len(part), -1) for part in (train, test_images))
    linear = LogisticRegression(C=0.02).fit(pixels, train.labels)
    thresholds = [threshold for images, _, threshold in SHORTENED.values() if images == count]
    assert 0.85 < linear.score(unseen, test_images.labels) < min(thresholds)


@pytest.mark.parametrize(
    ("article", "framework", "parameters", "optimizer", "rate", "batch_size", "epochs"),
    [
        ("000", "keras", 225_034, "adam", 1e-3, 32, 10),
        ("001", "keras", 34_826, "adam", 1e-3, 32, 5),
        ("002", "pytorch", 21_840, "sgd", 1e-2, 64, 10),
        ("003", "pytorch", 61_706, "adam", 1e-3, 64, 5),
        ("004", "keras", 693_962, "adam", 1e-3, 64, 5),
    ],
)
def test_the_recipe_is_the_articles(article, framework, parameters, optimizer, rate, batch_size, epochs):
    recipe = PRINTED[article]
    model, _, settings = started(recipe)
    counted = (
        model.count_params() if framework == "keras" else sum(p.numel() for p in model.parameters())
    )
    assert (recipe["framework"], counted) == (framework, parameters)
    assert (settings["optimizer"], settings["learning_rate"]) == (optimizer, rate)
    assert (settings["batch_size"], settings["epochs"]) == (batch_size, epochs)
    assert recipe.get("validation_share") == (0.2 if article == "000" else None)


PASSING = {
    "dense_cnn": ("articles", "000, dense_cnn", PRINTED["000"]),
    "small_cnn": ("articles", "001, small_cnn", PRINTED["001"]),
    "lenet5": ("lenet5_adam", "LeNet-5, Adam", PRINTED["003"]),
} | {
    label: ("articles", label, articles.RECIPES[label])
    for label in (
        "002, simple_cnn, learning rate 0.1",
        "003, lenet5, early stopping",
        "004, single_conv_cnn, cosine schedule",
    )
}
"""Recipes that reach the goal with every seed: results file, variant, recipe."""

SHORT = {
    "002": ("simple_cnn_sgd", "SimpleCNN, SGD"),
    "004": ("articles", "004, single_conv_cnn"),
}
"""Articles whose printed recipe doesn't, with the results that show it."""


@pytest.mark.parametrize("system", PASSING)
def test_the_full_runs_reached_the_goal(system):
    name, label, recipe = PASSING[system]
    result = committed(name, label)
    assert result["recipe"] == recipe
    assert len(result["test_accuracy"]["values"]) >= 2
    assert min(result["test_accuracy"]["values"]) >= GOAL


@pytest.mark.parametrize("article", SHORT)
def test_these_recipes_as_printed_fall_short_of_the_goal(article):
    """No wish, a fact that the chapters tell; a better result must change them."""
    result = committed(*SHORT[article])
    assert result["recipe"] == PRINTED[article]
    assert 0.97 < min(result["test_accuracy"]["values"]) < GOAL  # 002 guesses "about 90 %"


@pytest.mark.parametrize(
    ("article", "label", "change"),
    [
        ("002", "002, simple_cnn, learning rate 0.1", {"learning_rate"}),
        ("004", "004, single_conv_cnn, cosine schedule", {"schedule"}),
    ],
)
def test_one_change_is_enough(article, label, change):
    changed, printed = PASSING[label][2], {"schedule": "constant"} | PRINTED[article]
    changed = {"schedule": "constant"} | changed
    assert {key for key in changed if changed[key] != printed[key]} == change


def test_article_003_stops_early_and_returns_to_the_best_validation_epoch():
    recipe = articles.RECIPES["003, lenet5, early stopping"]
    train, validation = first_images(2_000).split(1 - recipe["validation_share"], seed=0)
    model, training, settings = started(recipe)
    # so few images are soon learnt by heart
    history = training.fit(model, train, validation, **{**settings, "epochs": 200})
    best = int(np.argmin(history.validation_loss))
    assert len(history) == best + 1 + recipe["patience"] < 200
    assert history.validation_loss[-1] > history.validation_loss[best]
    assert training.evaluate(model, validation).loss == pytest.approx(history.validation_loss[best])


def test_article_003_stopped_early_in_its_full_runs():
    result = committed("articles", "003, lenet5, early stopping")
    for run in result["runs"]:
        epochs = len(run["validation_accuracy"])
        assert run["best_epoch"] == epochs - result["recipe"]["patience"]
        assert epochs < result["recipe"]["epochs"]


def test_article_004_trains_the_head_of_vgg16_alone(train_digits):
    """Random weights, since those of ImageNet are a download; 32 pixels instead of 224."""
    model = vgg16_transfer(None, size=32)
    base = next(layer for layer in model.layers if layer.name.startswith("vgg16"))
    frozen, head = base.get_weights(), model.layers[-1].get_weights()
    train, validation = train_digits.split(0.2, seed=0)
    history = wing("keras", "training").fit(
        model, train, validation.subset(range(20)), epochs=2, batch_size=32, progress=False
    )
    assert history.train_loss[1] < history.train_loss[0]
    assert all((old == new).all() for old, new in zip(frozen, base.get_weights(), strict=True))
    assert any((old != new).any() for old, new in zip(head, model.layers[-1].get_weights(), strict=True))
