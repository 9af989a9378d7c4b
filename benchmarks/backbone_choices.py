"""The learning rates of `backbone.py`, chosen on validation images (chapter 13).

Each way learns from 100 training images per class and is judged on 1,000 other training images. The test
images are not opened.
"""

import argparse
from typing import Any

import rate_choices
from backbone import COMMON, TARGETS, WAYS, Recipe, tuned

from mnist_course.data import load
from mnist_course.pytorch.training import evaluate

SEEDS = (100, 101)
"""Not those of the runs on the test images."""

VALIDATION_IMAGES = 1_000
RATES = {
    "ImageNet backbone, head alone": (1e-3, 3e-3, 1e-2, 3e-2),
    "ImageNet backbone, all of it": (3e-4, 1e-3, 3e-3),
    "random backbone": (1e-3, 3e-3, 1e-2),
    "LeNet-5": (3e-4, 1e-3, 3e-3, 1e-2),
}
"""Way → candidates."""


def validate(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on a part of the training images; count the right answers on another."""
    data = load(recipe["target"], "train")
    images = recipe["examples"] * len(data.class_names)
    few, others = data.split(images / len(data), seed=seed)
    validation, _ = others.split(VALIDATION_IMAGES / len(others), seed=seed)
    correct = evaluate(tuned(recipe, few, seed).model, validation).correct
    return {"correct": correct, "images": len(validation)}


def main() -> None:
    """Run every candidate with every seed and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    workers = parser.parse_args().workers
    recipes = {
        (target, way): {**COMMON, "target": target, **settings}
        for target in TARGETS
        for way, settings in WAYS.items()
    }
    table = rate_choices.measured(recipes, RATES, validate, SEEDS, workers)
    chosen = {
        target: {way: {"learning_rate": rate_choices.best(table[target][way])} for way in WAYS}
        for target in TARGETS
    }
    packages = ["mnist-course", "numpy", "torch", "timm"]
    rate_choices.write("backbone_choices", table, chosen, packages, SEEDS)


if __name__ == "__main__":
    main()
