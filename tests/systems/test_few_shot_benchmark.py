"""The few-shot benchmark, gone through with a network that has seen a few digits."""

import json
import sys

import few_shot
import measure
import numpy as np
import pytest
from over_seeds import main

from mnist_course.data import load
from mnist_course.finetuning.few_shot import CLASSIFIERS


@pytest.fixture
def few(monkeypatch, train_digits):
    """A little training, and a tenth of the targets' images."""

    def some(name, split):
        if name == "mnist":
            return train_digits
        whole = load(name, split)
        chosen = [np.flatnonzero(whole.labels == label)[:30] for label in range(10)]
        return whole.subset(np.concatenate(chosen))

    monkeypatch.setattr(few_shot, "load", some)
    monkeypatch.setitem(few_shot.PRETRAINING, "epochs", 1)
    few_shot.pretrained.cache_clear()
    few_shot.query_rows.cache_clear()
    yield
    few_shot.pretrained.cache_clear()
    few_shot.query_rows.cache_clear()


def test_every_combination_is_a_variant():
    recipes = few_shot.variants()
    combinations = {(r["target"], r["features"], r["classifier"], r["shots"]) for r in recipes.values()}
    assert len(recipes) == len(combinations) == 2 * 5 * 4 * 3


def test_recipes_are_the_same_after_json():
    recipes = few_shot.variants()
    assert json.loads(json.dumps(recipes)) == recipes


@pytest.mark.parametrize("source", few_shot.SOURCES)
def test_every_source_and_classifier_beats_chance(source, few):
    recipes = few_shot.variants()
    for classifier in CLASSIFIERS:
        recipe = {**recipes[f"optdigits, {source}, {classifier}, 5 per class"], "draws": 2}
        found = few_shot.train_and_test(recipe, seed=0)
        assert found["test_images"] == 2 * 300
        assert 0.25 * 600 < found["test_correct"] <= 600


def test_every_draw_of_every_seed_has_examples_of_its_own(few, monkeypatch):
    drawn = []
    draw = few_shot.draw
    monkeypatch.setattr(
        few_shot, "draw", lambda *given, seed: (drawn.append(seed), draw(*given, seed=seed))[1]
    )
    recipe = few_shot.variants()["fashion, pixels, prototypes, 1 per class"]
    first, again, other = (few_shot.train_and_test(recipe, seed)["test_correct"] for seed in (0, 0, 1))
    assert first == again != other
    assert drawn == [*range(5), *range(5), *range(5, 10)]


def test_the_network_of_a_seed_is_trained_once(few):
    for label in ("optdigits, fc1, prototypes, 1 per class", "fashion, fc2, prototypes, 5 per class"):
        few_shot.train_and_test(few_shot.variants()[label], seed=0)
    assert few_shot.pretrained.cache_info().misses == 1


def test_a_run_is_written(few, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    label = "fashion, fc2, linear classifier, 20 per class"
    monkeypatch.setattr(sys, "argv", ["benchmarks/few_shot.py", "--seeds", "0", "--only", label])
    main("few_shot", few_shot.variants(), packages=["numpy"], run=few_shot.train_and_test)
    written = json.loads((tmp_path / "few_shot.json").read_text())
    assert written["variants"][label]["runs"][0]["test_images"] == 300 * few_shot.DRAWS
