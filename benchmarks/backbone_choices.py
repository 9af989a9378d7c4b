"""The learning rates of `backbone.py`, chosen on validation images (chapter 13).

Each way learns from 100 training images per class and is judged on 1,000 other training images. The test
images are not opened.
"""

from typing import Any

import choices
from backbone import COMMON, TARGETS, WAYS, Recipe, tuned

from mnist_course.data import load
from mnist_course.pytorch.training import evaluate

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
    return {"validation_correct": correct, "validation_images": len(validation)}


def variants() -> dict[str, Recipe]:
    """Return label → recipe for every target, way and learning rate."""
    return {
        f"{target}, {way}: {rate:g}": {**COMMON, "target": target, **settings, "learning_rate": rate}
        for target in TARGETS
        for way, settings in WAYS.items()
        for rate in RATES[way]
    }


if __name__ == "__main__":
    packages = ("mnist-course", "numpy", "torch", "timm")
    choices.main("backbone_choices", variants(), packages=packages, run=validate)
