"""The zero-shot benchmark, gone through with networks that have seen a few digits."""

import itertools
import json
import sys

import measure
import numpy as np
import pytest
import zero_shot
from over_seeds import main


@pytest.fixture
def few(monkeypatch, train_digits, test_digits):
    """Few digits; the optical ones are as they are."""
    digits = {"train": train_digits, "test": test_digits}
    monkeypatch.setattr(zero_shot, "load_mnist", digits.__getitem__)
    monkeypatch.setitem(zero_shot.UNSEEN, "epochs", 1)
    monkeypatch.setitem(zero_shot.UNSEEN, "examples", 80)
    zero_shot.trained_without.cache_clear()
    yield
    zero_shot.trained_without.cache_clear()


def test_recipes_are_the_same_after_json():
    recipes = zero_shot.variants()
    assert json.loads(json.dumps(recipes)) == recipes


@pytest.mark.parametrize("seed", range(3))
def test_every_digit_is_held_out_once(seed):
    assert sorted(itertools.chain(*zero_shot.pairs_of(seed))) == [*range(10)]


def test_seeds_pair_the_digits_differently():
    assert zero_shot.pairs_of(0) == zero_shot.pairs_of(0) != zero_shot.pairs_of(1)


@pytest.mark.parametrize("label", ["transfer", "transfer, augmentation"])
def test_transfer_counts_on_both_data_sets(label, few):
    recipe = {**zero_shot.variants()[label], "epochs": 3}
    found = zero_shot.train_and_test(recipe, seed=0)
    assert (found["test_images"], found["mnist_images"]) == (600, 200)
    assert found["mnist_correct"] > 0.4 * 200  # it has learned something
    assert 0 < found["test_correct"] < 600


def test_held_out_digits_are_neither_trained_on_nor_matched(few, monkeypatch):
    seen = []
    fit = zero_shot.fit
    monkeypatch.setattr(
        zero_shot, "fit", lambda model, train, **rest: (seen.append(train), fit(model, train, **rest))
    )
    methods = {name: _watched(make, seen) for name, make in zero_shot.METHODS.items()}
    monkeypatch.setattr(zero_shot, "METHODS", methods)
    zero_shot.train_and_test(zero_shot.variants()["unseen, attributes, fc2"], seed=0)
    labels = [getattr(each, "labels", each) for each in seen]
    for pair, (trained, matched) in zip(
        zero_shot.pairs_of(0), np.array(labels, object).reshape(5, 2), strict=True
    ):
        assert not np.isin(trained, pair).any()
        assert not np.isin(matched, pair).any()
        assert len(np.unique(matched)) == 8


def _watched(make, seen):
    """Return `make` for methods that note the labels they learn from."""

    def watched():
        method = make()
        fit = method.fit
        method.fit = lambda rows, labels: (seen.append(labels), fit(rows, labels))
        return method

    return watched


@pytest.mark.parametrize("method", zero_shot.METHODS)
def test_every_method_counts_every_test_image_once(method, few):
    found = zero_shot.train_and_test(zero_shot.variants()[f"unseen, {method}, fc2"], seed=0)
    assert found["test_images"] == 200
    assert found["among_ten"] <= found["test_correct"] <= 200
    assert found["test_correct"] == sum(pair["correct"] for pair in found["pairs"])


def test_the_networks_of_a_seed_are_trained_once(few):
    for method in ("attributes", "embedded print"):
        zero_shot.train_and_test(zero_shot.variants()[f"unseen, {method}, fc2"], seed=0)
    assert zero_shot.trained_without.cache_info().misses == 5


def test_a_run_is_written(few, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    label = "unseen, embedded attributes, fc1"
    monkeypatch.setattr(sys, "argv", ["benchmarks/zero_shot.py", "--seeds", "0", "--only", label])
    main("zero_shot", zero_shot.variants(), packages=["numpy"], run=zero_shot.train_and_test)
    written = json.loads((tmp_path / "zero_shot.json").read_text())
    assert len(written["variants"][label]["runs"][0]["pairs"]) == 5
