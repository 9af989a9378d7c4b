"""The benchmark of forgetting and the choice of EWC's strength, gone through with a few steps."""

import itertools
import json
import sys

import continual
import continual_choices
import measure
import pytest
import sweeps
from over_seeds import main

from mnist_course.finetuning.continual import SCENARIOS, STRATEGIES

LABELS = [", ".join(words) for words in itertools.product(["split", "permuted"], SCENARIOS)]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results in which EWC's strengths have been chosen: 1, 2, …."""
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    chosen = {label: 1.0 + number for number, label in enumerate(LABELS)}
    (tmp_path / "continual_choices.json").write_text(json.dumps({"chosen": chosen}))
    return tmp_path


@pytest.fixture
def few(monkeypatch, train_digits, test_digits):
    """Few images, few steps, and two tasks where there were ten."""
    digits = {"train": train_digits, "test": test_digits}
    monkeypatch.setattr(continual, "load_mnist", digits.__getitem__)
    monkeypatch.setattr(continual_choices, "load_mnist", digits.__getitem__)
    for name, count in (("split", 5), ("permuted", 2)):
        monkeypatch.setitem(continual.PROTOCOLS[name], "iterations", 2)
        monkeypatch.setitem(continual.PROTOCOLS[name], "count", count)
        monkeypatch.setitem(continual.OPTIONS[name], "ewc", {"examples": 2})


def test_every_strategy_runs_in_every_scenario_of_both_protocols(results):
    expected = {f"{label}, {strategy}" for label in LABELS for strategy in STRATEGIES}
    assert set(continual.variants()) == expected


def test_ewc_has_the_strength_that_was_chosen_for_its_protocol_and_scenario(results):
    recipes = continual.variants()
    strengths = [recipes[f"{label}, ewc"]["options"]["strength"] for label in LABELS]
    assert strengths == [1, 2, 3, 4, 5, 6]


def test_recipes_are_the_same_after_json(results):
    recipes = continual.variants()
    assert json.loads(json.dumps(recipes)) == recipes


@pytest.mark.parametrize("label", LABELS)
def test_every_variant_runs(label, results, few):
    recipes = continual.variants()
    for strategy in STRATEGIES:
        found = continual.train_and_test(recipes[f"{label}, {strategy}"], seed=0)
        tasks = recipes[f"{label}, {strategy}"]["count"]
        assert [len(row) for row in found["accuracies"]] == [*range(1, tasks + 1)]
        images = found["test_images"] / tasks
        assert found["test_correct"] == pytest.approx(sum(found["accuracies"][-1]) * images)
        assert found["test_images"] == {"split": 200, "permuted": 400}[label.split(",")[0]]


def test_a_run_is_written_with_its_accuracies(results, few, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks/continual.py", "--only", "split, class, replay"])
    main(
        "continual",
        continual.variants(),
        packages=["numpy"],
        run=continual.train_and_test,
        seeds=range(2),
    )
    written = json.loads((results / "continual.json").read_text())
    assert written["seeds"] == [0, 1]
    (variant,) = written["variants"].values()
    assert len(variant["runs"][1]["accuracies"]) == 5


def test_of_the_candidates_the_best_is_chosen_and_of_equals_the_weaker():
    rows = [
        {"strength": strength, "validation_accuracy": {"mean": mean}}
        for strength, mean in ((1.0, 0.5), (10.0, 0.8), (100.0, 0.8), (1000.0, 0.7))
    ]
    assert continual_choices.best(rows) == 10.0


def test_candidates_come_from_weak_to_strong_and_differ_in_strength_alone():
    for recipes in continual_choices.candidates().values():
        assert [*recipes] == sorted(recipes)
        for strength, recipe in recipes.items():
            assert recipe["options"].pop("strength") == strength
        assert all(recipe == next(iter(recipes.values())) for recipe in recipes.values())


def test_the_choice_opens_training_images_only_and_is_what_the_benchmark_uses(
    results, few, monkeypatch, train_digits
):
    opened = []

    def load(split):
        opened.append(split)
        return train_digits

    monkeypatch.setattr(continual_choices, "load_mnist", load)
    monkeypatch.setattr(continual_choices, "SEEDS", (100,))
    for protocol in ("split", "permuted"):
        monkeypatch.setitem(continual_choices.STRENGTHS, protocol, [1.0, 100.0])
    monkeypatch.setattr(sweeps, "on_processes", lambda jobs, run, workers: sweeps.one_by_one(jobs, run))
    monkeypatch.setattr(sys, "argv", ["benchmarks/continual_choices.py"])
    continual_choices.main()
    assert set(opened) == {"train"}
    written = json.loads((results / "continual_choices.json").read_text())
    assert [*written["chosen"]] == LABELS
    recipes = continual.variants()
    for label, strength in written["chosen"].items():
        assert strength in (1, 100)
        assert recipes[f"{label}, ewc"]["options"]["strength"] == strength
