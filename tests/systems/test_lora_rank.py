"""The benchmark of LoRA's rank runs, counts what trains, and lets validation images choose."""

import json
import sys

import lora_rank
import measure
import numpy as np
import over_seeds
import pytest

from mnist_course.models import build
from mnist_course.pytorch import training

FEW = {"images": 200, "steps": 4, "learning_rates": [1e-6, 3e-3]}


@pytest.fixture
def quick(monkeypatch):
    """Start from an untrained network."""
    monkeypatch.setattr(lora_rank, "pretrained", lambda seed: build("lenet5", seed=seed))


def run(label, **recipe):
    return lora_rank.train_and_test({**lora_rank.variants()[label], **FEW, **recipe}, seed=0)


def test_it_fills_its_results_file(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks/lora_rank.py"])
    chosen = ["optical digits, head alone", "Fashion-MNIST, rank 16"]
    variants = {label: {**lora_rank.variants()[label], **FEW} for label in chosen}
    over_seeds.main(
        "lora_rank", variants, packages=["numpy"], run=lora_rank.train_and_test, seeds=range(1)
    )
    found = json.loads((tmp_path / "lora_rank.json").read_text())["variants"]
    assert list(found) == chosen
    assert [one["runs"][0]["test_images"] for one in found.values()] == [600, 2000]
    assert [one["recipe"] for one in found.values()] == list(variants.values())


def test_a_rank_trains_its_inputs_and_outputs_and_the_head(quick):
    head = 84 * 10 + 10
    assert run("optical digits, head alone")["trained_parameters"] == head
    assert run("optical digits, all weights")["trained_parameters"] == 61_706
    for rank in (1, 8):
        sizes = 25 + 6 + 150 + 16 + 400 + 120 + 120 + 84
        found = run(f"optical digits, rank {rank}")["trained_parameters"]
        assert found == rank * sizes + head


def test_the_learning_rate_is_the_one_that_does_best_on_validation_images(quick):
    found = run("optical digits, all weights", steps=40)
    assert found["validation_images"] == 40
    assert (
        found["learning_rate"] == FEW["learning_rates"][np.argmax(found["validation_correct"])] == 3e-3
    )


def test_the_test_images_are_opened_when_all_is_chosen(quick, monkeypatch):
    opened = []
    load, evaluate = lora_rank.load_optdigits, training.evaluate
    monkeypatch.setitem(
        lora_rank.LOADERS, "optical digits", lambda split: opened.append(split) or load(split)
    )
    monkeypatch.setattr(
        training, "evaluate", lambda model, data: opened.append(len(data)) or evaluate(model, data)
    )
    run("optical digits, rank 1")
    assert opened == ["train", 40, 40, "test", 600]


def test_only_fashion_gets_a_new_head(quick, monkeypatch):
    given = []
    fine_tune = lora_rank.fine_tune
    monkeypatch.setattr(
        lora_rank,
        "fine_tune",
        lambda *data, **options: given.append(options["new_head"]) or fine_tune(*data, **options),
    )
    run("optical digits, rank 1")
    run("Fashion-MNIST, rank 1")
    assert given == [False, False, True, True]


def test_the_start_has_learned_digits(train_digits, test_digits, monkeypatch):
    monkeypatch.setattr(lora_rank, "load_mnist", lambda split: train_digits)
    network = lora_rank.pretrained.__wrapped__(seed=0)
    assert training.evaluate(network, test_digits).accuracy > 0.5
