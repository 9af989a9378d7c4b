"""The ladder of chapter 12: one change per rung, and the first of them changes rounding only."""

import json
from itertools import pairwise

import ladder_time
import measure
import pytest
import torch
from ladder_time import COMMON, Run, rungs

from mnist_course.data import load_mnist
from mnist_course.pytorch.ladder import LadderCNN


@pytest.fixture(scope="module")
def images():
    return load_mnist("train").subset(range(0, 60_000, 200))


def trained(name, images, steps):
    run = Run(rungs()[name], images, seed=3)
    run.train(steps)
    return run.network.state_dict()


def test_rung_0_is_pytorchs_example():
    assert ladder_time.parameters(LadderCNN()) == 1_199_882
    assert (COMMON["batch_size"], COMMON["epochs"], COMMON["learning_rate"]) == (64, 14, 1.0)


def test_data_in_memory_changes_nothing_but_a_pixels_last_bit(images):
    first, second = (
        trained(name, images, steps=12)  # more than two epochs
        for name in ("the common script", "data in memory")
    )
    for key in first:
        torch.testing.assert_close(first[key], second[key], rtol=1e-5, atol=1e-6)


def test_every_rung_but_the_first_changes_something():
    recipes = [*rungs().values()]
    assert all(before != after for before, after in pairwise(recipes))


@pytest.mark.parametrize("name", rungs())
def test_every_rung_learns(name, images):
    run = Run(rungs()[name], images, seed=0)
    inputs, labels = next(iter(ladder_time.in_memory(rungs()[name], images, 0)))

    def loss():
        with torch.no_grad():
            return torch.nn.functional.cross_entropy(run.network.eval()(inputs), labels).item()

    before = loss()
    run.train(8)
    assert loss() < before


@pytest.mark.parametrize("share", [350, 250, 60])
def test_what_to_do_with_a_share_of_the_time_was_chosen_on_validation_images(share):
    choices = json.loads((measure.RESULTS / "ladder_time_choices.json").read_text())
    limit = 0.97 * choices["common_seconds"]["median"] / share
    fast_enough = [
        one
        for label, one in choices["candidates"].items()
        if label.startswith(f"1/{share}:") and one["seconds"]["median"] <= limit
    ]
    best = max(fast_enough, key=lambda one: one["validation_accuracy"]["mean"])
    assert rungs()[f"1/{share} of the time"] == best["recipe"]
