"""The benchmark of forgetting and the choice of EWC's strength, gone through with a few steps."""

import itertools
import json
import sys

import choices
import continual
import continual_choices
import measure
import pytest
from over_seeds import main

from mnist_course.finetuning.continual import SCENARIOS, STRATEGIES

LABELS = [", ".join(words) for words in itertools.product(["split", "permuted"], SCENARIOS)]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results in which EWC's strengths have been chosen: 1, 2, …."""
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    variants = {
        f"{label}, ewc: {number}": {
            "recipe": continual.recipe_of(*label.split(", "), "ewc", strength=float(number)),
            "validation_accuracy": {"mean": 0.5},
            "runs": [{"seed": 100}],
        }
        for number, label in enumerate(LABELS, 1)
    }
    (tmp_path / "continual_choices.json").write_text(json.dumps({"variants": variants}))
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
def test_every_variant_runs(label, few, results):
    recipes = continual.variants()
    for strategy in STRATEGIES:
        found = continual.train_and_test(recipes[f"{label}, {strategy}"], seed=0)
        tasks = recipes[f"{label}, {strategy}"]["count"]
        assert [len(row) for row in found["accuracies"]] == [*range(1, tasks + 1)]
        images = found["test_images"] / tasks
        assert found["test_correct"] == pytest.approx(sum(found["accuracies"][-1]) * images)
        assert found["test_images"] == {"split": 200, "permuted": 400}[label.split(",")[0]]


def test_a_run_is_written_with_its_accuracies(few, results, monkeypatch):
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


def test_candidates_come_from_weak_to_strong_and_differ_in_strength_alone():
    variants = continual_choices.variants()
    for label in LABELS:
        recipes = [recipe for name, recipe in variants.items() if name.startswith(f"{label}, ewc: ")]
        strengths = [recipe["options"].pop("strength") for recipe in recipes]
        assert strengths == sorted(strengths)
        assert len(strengths) > 1
        assert all(recipe == recipes[0] for recipe in recipes)


def test_the_choice_opens_training_images_only_and_is_what_the_benchmark_uses(
    results, few, monkeypatch, train_digits
):
    opened = []

    def load(split):
        opened.append(split)
        return train_digits

    monkeypatch.setattr(continual_choices, "load_mnist", load)
    for protocol in ("split", "permuted"):
        monkeypatch.setitem(continual_choices.STRENGTHS, protocol, [1.0, 100.0])
    monkeypatch.setattr(sys, "argv", ["benchmarks/continual_choices.py", "--seeds", "100"])
    choices.main(
        "continual_choices",
        continual_choices.variants(),
        packages=["numpy"],
        run=continual_choices.validate,
    )
    assert set(opened) == {"train"}
    recipes = continual.variants()
    assert {recipes[f"{label}, ewc"]["options"]["strength"] for label in LABELS} <= {1, 100}
