"""How strong EWC's springs should be, chosen on validation images (chapter 15).

Every candidate learns the tasks of `continual.py` on 50,000 of the training images and is judged on the
10,000 others: by the mean accuracy over all tasks at the end. The test images are not opened. Of equals
the weaker is taken.
"""

import argparse
import statistics
import sys
import time
from typing import Any

import continual
import measure
import sweeps
from sweeps import Recipe

from mnist_course.data import load_mnist
from mnist_course.finetuning.continual import SCENARIOS

STRENGTHS: dict[str, list[float]] = {
    "split": [1e3, 1e5, 1e7, 1e9],
    "permuted": [1e1, 1e2, 1e3, 1e4],
}
"""Wide steps, because the accuracy changes little from one to the next."""
SEEDS = (100, 101)
"""Not those of the runs on the test images."""


def candidates() -> dict[str, dict[float, Recipe]]:
    """Return protocol and scenario → strength → recipe."""
    return {
        f"{protocol}, {scenario}": {
            strength: continual.recipe_of(protocol, scenario, "ewc", strength=strength)
            for strength in strengths
        }
        for protocol, strengths in STRENGTHS.items()
        for scenario in SCENARIOS
    }


def validate(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Learn on 50,000 images; return the mean accuracy over the tasks, on the 10,000 others."""
    train, validation = load_mnist("train").split(50 / 60, seed=0)
    tasks = continual.tasks_of(recipe, train, validation, seed)
    return {"accuracy": statistics.mean(continual.learn(recipe, tasks, seed)["accuracies"][-1])}


def main() -> None:
    """Run every candidate with every seed and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    options = parser.parse_args()
    start = time.perf_counter()
    jobs = [
        (f"{label}: {strength:g}", recipe, seed)
        for label, recipes in candidates().items()
        for strength, recipe in recipes.items()
        for seed in SEEDS
    ]
    done: dict[str, list[tuple[int, float]]] = {label: [] for label, _, _ in jobs}
    for (label, _, seed), found in sweeps.on_processes(jobs, validate, options.workers):
        if isinstance(found, Exception):
            sys.exit(f"{label} failed: {found}")
        done[label].append((seed, found["accuracy"]))
        print(f"{label}: {found['accuracy']:.4f}", file=sys.stderr, flush=True)
    table = {
        label: [
            {
                "strength": strength,
                "validation_accuracy": measure.spread(
                    [share for _, share in sorted(done[f"{label}: {strength:g}"])]
                ),
            }
            for strength in recipes
        ]
        for label, recipes in candidates().items()
    }
    measure.write(
        "continual_choices",
        {
            "candidates": table,
            "chosen": {label: best(rows) for label, rows in table.items()},
            "threads": 1,
            "wall_seconds": round(time.perf_counter() - start, 1),
        },
        ["mnist-course", "numpy", "torch"],
        seeds=SEEDS,
    )


def best(rows: list[dict[str, Any]]) -> float:
    """Return the strength with the highest mean; `max` takes the first of equals."""
    strength: float = max(rows, key=lambda row: row["validation_accuracy"]["mean"])["strength"]
    return strength


if __name__ == "__main__":
    main()
