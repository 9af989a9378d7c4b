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
FINE = "fastest to 99.4 %"
CANDIDATES: dict[str, tuple[str, dict[str, Recipe]]] = {
    "learning rate": (LAST, {f"{rate:g}": {"learning_rate": rate} for rate in (0.01, 0.02, 0.03)}),
    "batch size, learning rate": (
        LAST,
        {
            f"{size}, {rate:g}": {"batch_size": size, "learning_rate": rate}
            for size, rate in ((64, 0.015), (128, 0.02), (256, 0.03))
        },
    ),
    "schedule": (LAST, {text: {"schedule": text} for text in ("one cycle", "one cycle, cosine")}),
    "label smoothing": (LAST, {f"{s:g}": {"label_smoothing": s} for s in (0.0, 0.05, 0.1, 0.2)}),
    "channels": (
        LAST,
        {
            " and ".join(map(str, channels)): {"network": {"channels": channels}}
            for channels in ([16, 32], [16, 48], [16, 64], [24, 48], [16, 48, 48])
        },
    ),
    "epochs": (LAST, {f"{epochs:g}": {"epochs": epochs} for epochs in (0.7, 0.8, 0.9, 1)}),
    "epochs with a third convolution": (FINE, {f"{epochs:g}": {"epochs": epochs} for epochs in (2, 3)}),
    "augmentation": (
        FINE,
        {
            "none": {"augmentation": None},
            "shift 1": {"augmentation": {"shift": 1.0}},
            "12°, 1.5 px, 12 %": {"augmentation": GOALS[FINE]["augmentation"]},
        },
    ),
}
"""Decision → the rung it is made on, and label → what a candidate changes in it."""

SEEDS = (100, 101, 102)
"""Not those of the runs on the test images."""


def validate(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on 50,000 images; count the right answers on the 10,000 others."""
    train, validation = load_mnist("train").split(50 / 60, seed=0)
    run = Run(recipe, train, seed)
    run.train()
    return {"correct": evaluate(run.network, validation).correct}


def main() -> None:
    """Run every candidate with every seed and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    options = parser.parse_args()
    start = time.perf_counter()
    recipes = {
        f"{decision}: {label}": changed(rungs()[rung], change)
        for decision, (rung, candidates) in CANDIDATES.items()
        for label, change in candidates.items()
    }
    jobs = [(label, recipe, seed) for label, recipe in recipes.items() for seed in SEEDS]
    correct: dict[str, list[int]] = {label: [] for label in recipes}
    for (label, _, _), found in sweeps.on_processes(jobs, validate, options.workers):
        if isinstance(found, Exception):
            sys.exit(f"{label} failed: {found}")
        correct[label].append(found["correct"])
        print(f"{label}: {found['correct']}", file=sys.stderr, flush=True)
    measure.write(
        "ladder_time_choices",
        {
            "candidates": {
                label: {
                    "recipe": recipe,
                    "validation_accuracy": measure.spread([n / 10_000 for n in correct[label]]),
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
