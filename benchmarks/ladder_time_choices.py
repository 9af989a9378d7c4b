"""The numbers in the last rungs of `ladder_time.py`, chosen on validation images (chapter 12).

Every candidate changes one thing in a recipe, trains on 50,000 of the training images and is judged on
the 10,000 others, the same of every class. The test images are not opened.
"""

import argparse
import sys
import time
from typing import Any

import measure
import sweeps
from ladder_time import CHANGES, GOALS, Recipe, Run, changed, rungs

from mnist_course.data import load_mnist
from mnist_course.pytorch.training import evaluate

LAST = [*CHANGES][-1]
TURNED = GOALS["fastest to 99.4 %"]["augmentation"]


def small(channels: list[int], kernel_sizes: list[int], crop: int, **change: Any) -> Recipe:
    """Return a candidate's change."""
    return {"network": {"channels": channels, "kernel_sizes": kernel_sizes, "crop": crop}, **change}


def fine(channels: list[int], kernel_sizes: list[int], crop: int, **change: Any) -> Recipe:
    """Return a candidate's change that is meant for several epochs on altered images."""
    change = {"learning_rate": 0.01, "augmentation": TURNED, **change}
    return small(channels, kernel_sizes, crop, **change)


CANDIDATES: dict[str, dict[str, Recipe]] = {
    "learning rate": {f"{rate:g}": {"learning_rate": rate} for rate in (0.01, 0.02, 0.03)},
    "batch size, learning rate": {
        f"{size}, {rate:g}": {"batch_size": size, "learning_rate": rate}
        for size, rate in ((64, 0.015), (96, 0.02), (256, 0.03))
    },
    "schedule": {"half cosines": {"schedule": "one cycle, cosine"}},
    "label smoothing": {f"{share:g}": {"label_smoothing": share} for share in (0.0, 0.05, 0.2)},
    "99.0 %": {
        "16, 48": small([16, 48], [5, 5], 2),
        "16, 64, 0.8 epochs": {"epochs": 0.8},
        "16, 64, 0.9 epochs": {"epochs": 0.9},
        "16, 48, border of 1": small([16, 48], [5, 5], 1),
        "16, 48, border of 1, 0.8 epochs": small([16, 48], [5, 5], 1, epochs=0.8),
        "16, 48, 48, 0.8 epochs": small([16, 48, 48], [5, 5, 3], 2, epochs=0.8),
    },
    "99.2 %": {
        "16, 64, 64": small([16, 64, 64], [5, 5, 3], 2),
        "16, 64, 64, 1.25 epochs": small([16, 64, 64], [5, 5, 3], 2, epochs=1.25),
        "16, 64, first kernel 3 × 3": small([16, 64], [3, 5], 2),
        "16, 64, first kernel 3 × 3, 1.25 epochs": small([16, 64], [3, 5], 2, epochs=1.25),
        "16, 64, border of 1": small([16, 64], [5, 5], 1),
        "16, 64, 64, border of 1": small([16, 64, 64], [5, 5, 3], 1),
    },
    "99.4 %": {
        "24, 64, 96, 2 epochs": fine([24, 64, 96], [5, 5, 3], 2, epochs=2),
        "24, 64, 96, 3 epochs": fine([24, 64, 96], [5, 5, 3], 2, epochs=3),
        "24, 64, 64, border of 1, 2 epochs": fine([24, 64, 64], [5, 5, 3], 1, epochs=2),
        "24, 64, 64, border of 1, 2 epochs, shifts": fine(
            [24, 64, 64], [5, 5, 3], 1, epochs=2, augmentation={"shift": 1.0}
        ),
        "24, 64, 64, border of 1, 2 epochs, nothing altered": fine(
            [24, 64, 64], [5, 5, 3], 1, epochs=2, augmentation=None
        ),
        "16, 64, 64, border of 1, 2 epochs": fine([16, 64, 64], [5, 5, 3], 1, epochs=2),
    },
}
"""Decision → label → what a candidate changes in the last rung, which is a candidate of its own.

For each goal, of the candidates whose mean is at most 0.1 points below it the one with the least
arithmetic is taken: the runs that count have a fifth more images. A test follows this rule.
"""

SEEDS = (100, 101, 102)
"""Not those of the runs on the test images."""


def validate(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on 50,000 images; count the right answers on the 10,000 others."""
    train, validation = load_mnist("train").split(50 / 60, seed=0)
    start = time.perf_counter()
    run = Run(recipe, train, seed)
    run.train()
    spent = time.perf_counter() - start
    return {"correct": evaluate(run.network, validation).correct, "training_seconds": spent}


def main() -> None:
    """Run every candidate with every seed and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    options = parser.parse_args()
    start = time.perf_counter()
    recipes = {LAST: rungs()[LAST]} | {
        f"{decision}: {label}": changed(rungs()[LAST], change)
        for decision, candidates in CANDIDATES.items()
        for label, change in candidates.items()
    }
    jobs = [(label, recipe, seed) for label, recipe in recipes.items() for seed in SEEDS]
    done: dict[str, list[dict[str, Any]]] = {label: [] for label in recipes}
    for (label, _, _), found in sweeps.on_processes(jobs, validate, options.workers):
        if isinstance(found, Exception):
            sys.exit(f"{label} failed: {found}")
        done[label].append(found)
        print(f"{label}: {found['correct']}", file=sys.stderr, flush=True)
    measure.write(
        "ladder_time_choices",
        {
            "candidates": {
                label: {
                    "recipe": recipe,
                    "validation_accuracy": measure.spread([r["correct"] / 10_000 for r in done[label]]),
                    "training_seconds": measure.spread([r["training_seconds"] for r in done[label]]),
                }
                for label, recipe in recipes.items()
            },
            "threads": 1,
            "wall_seconds": round(time.perf_counter() - start, 1),
        },
        ["mnist-course", "numpy", "torch"],
        seeds=SEEDS,
    )


if __name__ == "__main__":
    main()
