"""The ladder of accuracy of chapter 12: what a rung changes, and that trained networks are kept."""

import json
from itertools import pairwise

import ladder_accuracy
import ladder_accuracy_choices
import numpy as np
import pytest
import torch
from ladder_accuracy import FIRST, SMALLEST, members, rungs, train
from measure import RESULTS

from mnist_course.data import ImageDataset, load_mnist

QUICK = {**SMALLEST, "network": [[2], [3]], "epochs": 2}


@pytest.fixture(scope="module")
def images():
    return load_mnist("train").subset(range(0, 60_000, 200))


def test_every_rung_changes_something():
    recipes = [*rungs().values()]
    assert all(before != after for before, after in pairwise(recipes))


def test_the_results_are_those_of_these_recipes_with_five_seeds_each():
    found = json.loads((RESULTS / "ladder_accuracy.json").read_text())["variants"]
    recipes = {label: variant["recipe"] for label, variant in found.items()}
    assert recipes == {**rungs(), "smallest": SMALLEST}
    seeds = {label: [run["seed"] for run in variant["runs"]] for label, variant in found.items()}
    assert all(which == [*range(5)] for which in seeds.values())


def test_the_smallest_network_has_at_most_3000_weights():
    assert sum(p.numel() for p in ladder_accuracy.network(SMALLEST, 0).parameters()) <= 3000


@pytest.mark.parametrize("label", [*rungs()])
def test_every_rung_trains(label, images):
    recipe = {**rungs()[label], "epochs": 1}
    _, history = train(recipe, 0, images)
    assert np.isfinite(history.train_loss).all()


def test_a_trained_network_is_not_trained_again(images, tmp_path, monkeypatch):
    first, history = train(QUICK, 3, images, cache=tmp_path)

    def forbidden(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr("mnist_course.pytorch.training._Trainer.train_epoch", forbidden)
    second, again = train({**QUICK, "shifts": True, "members": 2}, 3, images, cache=tmp_path)
    assert again.train_loss == history.train_loss
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_an_ensemble_is_the_mean_of_its_members_probabilities(images, tmp_path, monkeypatch):
    sets = {"train": images, "test": load_mnist("test").subset(range(400))}
    monkeypatch.setattr(ladder_accuracy, "load_mnist", sets.__getitem__)
    monkeypatch.setattr(ladder_accuracy, "CACHE", tmp_path)
    recipe = {**QUICK, "members": 2}
    found = ladder_accuracy.train_and_test(recipe, 1)
    networks = [train(QUICK, seed, images, cache=tmp_path)[0] for seed in (0, 2)]
    test: ImageDataset = sets["test"]
    both = sum(ladder_accuracy.asked(recipe)(model, test.images) for model in networks)
    assert found["wrong"] == np.flatnonzero(both.argmax(1) != test.labels).tolist()
    assert found["test_correct"] == 400 - len(found["wrong"])


def test_ensembles_leave_each_network_out_once():
    recipe = {**FIRST, "members": 4}
    assert [set(range(5)) - set(members(recipe, seed)) for seed in range(5)] == [{0}, {1}, {2}, {3}, {4}]
    with pytest.raises(ValueError, match="only 5 ensembles"):
        members(recipe, 5)


def test_choices_are_made_without_the_test_images(images, monkeypatch):
    def opened(split):
        assert split == "train"
        return images

    monkeypatch.setattr(ladder_accuracy_choices, "load_mnist", opened)
    found = ladder_accuracy_choices.validate(QUICK, 0)
    assert found["validation_images"] == len(images) - round(len(images) * 5 / 6)
    assert 0 <= found["shifted_correct"] <= found["validation_images"]
