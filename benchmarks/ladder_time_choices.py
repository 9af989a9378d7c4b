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
import torch
from ladder_time import CHANGES, SHARES, Recipe, Run, changed, rungs

from mnist_course.data import load_mnist
from mnist_course.pytorch.training import evaluate

COMMON, *_, LAST = CHANGES
TURNED = SHARES["1/60 of the time"]["augmentation"]


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
    "1/350": {
        "16, 64, 0.6 epochs": {"epochs": 0.6},
        "16, 48, 0.7 epochs": small([16, 48], [5, 5], 2, epochs=0.7),
        "16, 32, 0.8 epochs": small([16, 32], [5, 5], 2, epochs=0.8),
        "8, 32, 0.85 epochs": small([8, 32], [5, 5], 2, epochs=0.85),
        "16, 64, border of 3, 0.7 epochs": small([16, 64], [5, 5], 3, epochs=0.7),
        "16, 64, second kernel 3 × 3, border of 3, 0.75 epochs": small([16, 64], [5, 3], 3, epochs=0.75),
        "16, 48, border of 3, 0.8 epochs": small([16, 48], [5, 5], 3, epochs=0.8),
        "16, 32, 32, 0.7 epochs": small([16, 32, 32], [5, 5, 3], 2, epochs=0.7),
        "16, 48, batches of 96, 0.65 epochs": small([16, 48], [5, 5], 2, epochs=0.65, batch_size=96),
        "16, 48, batches of 192, 0.85 epochs": small([16, 48], [5, 5], 2, epochs=0.85, batch_size=192),
    },
    "1/250": {
        "16, 64, 0.85 epochs": {"epochs": 0.85},
        "16, 48, 1 epoch": small([16, 48], [5, 5], 2),
        "16, 48, 48, 0.85 epochs": small([16, 48, 48], [5, 5, 3], 2, epochs=0.85),
        "16, 64, 64, 0.75 epochs": small([16, 64, 64], [5, 5, 3], 2, epochs=0.75),
        "16, 48, border of 1, 0.8 epochs": small([16, 48], [5, 5], 1, epochs=0.8),
        "16, 64, border of 3, 1 epoch": small([16, 64], [5, 5], 3),
        "16, 48, border of 3, 1.15 epochs": small([16, 48], [5, 5], 3, epochs=1.15),
        "16, 48, batches of 96, 0.9 epochs": small([16, 48], [5, 5], 2, epochs=0.9, batch_size=96),
        "16, 64, batches of 192, 0.95 epochs": {"epochs": 0.95, "batch_size": 192},
    },
    "1/60": {
        "16, 64, 64, border of 1, 2 epochs": fine([16, 64, 64], [5, 5, 3], 1, epochs=2),
        "16, 64, 64, 2.5 epochs": fine([16, 64, 64], [5, 5, 3], 2, epochs=2.5),
        "16, 48, 64, border of 1, 2.4 epochs": fine([16, 48, 64], [5, 5, 3], 1, epochs=2.4),
        "24, 64, 64, border of 1, 1.75 epochs": fine([24, 64, 64], [5, 5, 3], 1, epochs=1.75),
        "24, 64, 96, 2 epochs": fine([24, 64, 96], [5, 5, 3], 2, epochs=2),
        "16, 64, 64, border of 1, 2 epochs, shifts": fine(
            [16, 64, 64], [5, 5, 3], 1, epochs=2, augmentation={"shift": 1.0}
        ),
        "16, 64, 64, border of 1, 2 epochs, nothing altered": fine(
            [16, 64, 64], [5, 5, 3], 1, epochs=2, augmentation=None
        ),
    },
}
"""Decision → label → what a candidate changes in the last rung, which is a candidate of its own.

A decision such as "1/350" is about what to do with that share of the common script's time. Of the
candidates that need at most 97 % of it here the one with the best mean is taken; a test follows this
rule. The rest is for the machine's moods, because the times that count are taken again.
"""

ROUNDS, STEPS = 3, 400
SEEDS = (100, 101, 102, 103, 104)
"""Not those of the runs on the test images."""


def validate(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on 50,000 images; count the right answers on the 10,000 others."""
    train, validation = load_mnist("train").split(50 / 60, seed=0)
    run = Run(recipe, train, seed)
    run.train()
    return {"correct": evaluate(run.network, validation).correct}


def times(recipes: dict[str, Recipe]) -> dict[str, list[float]]:
    """Return how long each recipe trains on all 60,000 images, in turns; long ones are scaled up."""
    train = load_mnist("train")
    found: dict[str, list[float]] = {label: [] for label in recipes}
    for turn in range(ROUNDS + 1):
        for label, recipe in recipes.items():
            start = time.perf_counter()
            run = Run(recipe, train, seed=0)
            prepared = time.perf_counter()
            steps = min(run.steps, 20 if turn == 0 else STEPS)
            run.train(steps)
            spent = prepared - start + (time.perf_counter() - prepared) * run.steps / steps
            if turn:  # the first turn is for the libraries, which choose their algorithms in it
                found[label].append(spent)
    return found


def main() -> None:
    """Time the candidates that have a time to keep to, run all with every seed, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    options = parser.parse_args()
    start = time.perf_counter()
    recipes = {LAST: rungs()[LAST]} | {
        f"{decision}: {label}": changed(rungs()[LAST], change)
        for decision, candidates in CANDIDATES.items()
        for label, change in candidates.items()
    }
    limited = {label: recipe for label, recipe in recipes.items() if label.startswith("1/")}
    seconds = times({COMMON: rungs()[COMMON], **limited})
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
                    **({"seconds": measure.spread(seconds[label])} if label in seconds else {}),
                }
                for label, recipe in recipes.items()
            },
            "common_seconds": measure.spread(seconds[COMMON]),
            "threads": torch.get_num_threads(),
            "wall_seconds": round(time.perf_counter() - start, 1),
        },
        ["mnist-course", "numpy", "torch"],
        seeds=SEEDS,
    )


if __name__ == "__main__":
    main()
