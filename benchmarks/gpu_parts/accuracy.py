"""How long training takes to 99.0 % and 99.2 % test accuracy.

A recipe counts as reaching an accuracy when its mean over the seeds does. The recipes were fixed before
any test image was opened, by `gpu_recipe.py`, on images held out of the training set.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import measure

from gpu_parts.machine import Machine
from gpu_parts.training import (
    FASTEST,
    Recipe,
    Resident,
    as_dict,
    float32_arithmetic,
    run_of,
    share_correct,
)
from mnist_course.data import load_mnist

Save = Callable[[dict[str, Any]], object]

TARGETS = {"99.0 %": 0.990, "99.2 %": 0.992}
"""The accuracies that a recipe's mean has to reach."""

CHOSEN = measure.RESULTS / "gpu_recipe.json"
GOAL_SECONDS = {"99.0 %": 0.2}  # of training, on one H100


def part(machine: Machine, seeds: list[int], dry: bool, save: Save, before: dict[str, Any]) -> None:
    """Measure the time to each accuracy, all seeds of a recipe by one captured graph."""
    train, test = load_mnist("train"), load_mnist("test")
    if dry:
        train, test = train.subset(range(512)), test.subset(range(256))
    moved: list[Resident] = []
    data_seconds, _ = machine.timed(
        lambda: moved.extend(Resident.of(images, machine) for images in (train, test))
    )
    body = {"data_to_device_seconds": data_seconds, "targets": dict(before.get("targets", {}))}
    for label, recipe in chosen().items():
        if label in body["targets"]:
            continue
        used = replace(recipe, batch_size=64) if dry else recipe
        results = over_seeds(used, moved[0], moved[1], machine, seeds)
        target = TARGETS[label]
        results = {"target": target, "goal_seconds": GOAL_SECONDS.get(label), **results}
        results["reached"] = results["test_accuracy"]["mean"] >= target
        body["targets"][label] = results
        save(body)


def chosen() -> dict[str, Recipe]:
    """Return the recipe for each accuracy, as `gpu_recipe.py` chose it."""
    found = json.loads(CHOSEN.read_text())["chosen"]
    return {
        label: Recipe(**(values | {"channels": tuple(values["channels"])}))
        for label, values in found.items()
    }


def over_seeds(
    recipe: Recipe, train: Resident, test: Resident, machine: Machine, seeds: list[int]
) -> dict[str, Any]:
    """Train with every seed, look at the test images once after each, and summarise."""
    start = time.perf_counter()
    runs = []
    with float32_arithmetic(FASTEST):
        run = run_of(recipe, train, machine, FASTEST)
        built = time.perf_counter()
        graphed = run.prepare()
        first, _ = run.train(recipe, seeds[0])  # wakes the device up; the seed starts afresh below
        for seed in seeds:
            host, device = run.train(recipe, seed)
            correct, images = share_correct(run.step.network, test)
            runs.append(
                {
                    "seed": seed,
                    "test_correct": correct,
                    "test_images": images,
                    "training_seconds": host,
                    "device_seconds": device,
                }
            )
    accuracies = measure.spread([one["test_correct"] / one["test_images"] for one in runs])
    return {
        "recipe": asdict(recipe),
        "way": as_dict(FASTEST),
        "preparation_seconds": {
            "building": built - start,
            "warm-up and cuDNN's choice of algorithms": graphed.warm_up_seconds,
            "capture": graphed.capture_seconds,
            "a whole run that is not counted": first,
        },
        "test_accuracy": accuracies,
        "standard_error": accuracies["sd"] / len(runs) ** 0.5,
        "training_seconds": measure.spread([one["training_seconds"] for one in runs]),
        "device_seconds": measure.spread([one["device_seconds"] for one in runs]),
        "runs": runs,
    }
