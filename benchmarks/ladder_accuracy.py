"""From one epoch of LeNet-5 to the best single network and ensemble, one change per rung (chapter 12).

The numbers in the changes were chosen on 10,000 held-out training images
(`ladder_accuracy_choices.py`). Here each run trains on all 60,000, keeps the weights of the last epoch,
and opens the test images once, at the end. A variant that is no rung is the smallest network.

A trained network is kept under ``runs/`` while the file is filled: a rung that only asks the same
networks in another way, shifted or together, does not train them again, and an interrupted run goes on
with its next epoch. ``training_seconds`` is what the training took, whenever it was done.
"""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from over_seeds import Recipe, main
from torch import nn

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset, load_mnist
from mnist_course.history import History
from mnist_course.pytorch.execution import Execution
from mnist_course.pytorch.ladder import BlockCNN, predict_shifted
from mnist_course.pytorch.models import build
from mnist_course.pytorch.training import fit, predict_probabilities

FIRST: Recipe = {
    "network": "lenet5",
    "epochs": 1,
    "batch_size": 64,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "schedule": "constant",
    "augmentation": None,
    "label_smoothing": 0.0,
    "ema": None,
    "execution": {},
    "shifts": False,
    "members": 1,
}

CHANGES: dict[str, Recipe] = {
    "LeNet-5, 1 epoch": {},
    "8 epochs": {"epochs": 8},
    "one cycle": {"optimizer": "adamw", "learning_rate": 0.005, "schedule": "one_cycle"},
    "altered images": {"augmentation": {"rotation": 10.0, "shift": 2.0, "zoom": 0.1}},
    "five convolutions, batch norm": {
        "network": [[48, 48], [96, 96], [192]],
        "batch_size": 128,
        "learning_rate": 0.01,
        "label_smoothing": 0.1,
        "execution": {"precision": "bf16", "channels_last": True},
    },
    "30 epochs, altered more, averaged weights": {
        "epochs": 30,
        "augmentation": {"rotation": 15.0, "shift": 2.5, "zoom": 0.15},
        "ema": 0.999,
    },
    "shifts": {"shifts": True},
    "ensemble of 4": {"members": 4},
}
"""Rung → what it changes in the recipe of the rung before."""

SMALLEST: Recipe = {
    **FIRST,
    "network": [[6, 8], [12, 12]],
    "average": True,
    "epochs": 30,
    "batch_size": 128,
    "optimizer": "adamw",
    "learning_rate": 0.02,
    "schedule": "one_cycle",
    "augmentation": {"rotation": 5.0, "shift": 1.0, "zoom": 0.05},
    "ema": 0.999,
    "execution": {"precision": "bf16", "channels_last": True},
}
"""The fewest weights that reach 99 %."""

CACHE = Path("runs/ladder_accuracy")
NOT_TRAINING = ("shifts", "members")
"""What of a recipe says how trained networks are asked."""


def rungs() -> dict[str, Recipe]:
    """Return every rung's whole recipe, in order."""
    found: dict[str, Recipe] = {}
    recipe = FIRST
    for name, change in CHANGES.items():
        found[name] = recipe = {**recipe, **change}
    return found


def network(recipe: Recipe, seed: int) -> nn.Module:
    """Return the recipe's network, not trained yet."""
    if isinstance(recipe["network"], str):
        return build(recipe["network"], seed=seed)
    torch.manual_seed(seed)
    return BlockCNN(
        recipe["network"], average=recipe.get("average", False), dropout=recipe.get("dropout", 0.0)
    )


def train(
    recipe: Recipe, seed: int, dataset: ImageDataset, *, cache: Path | None = None
) -> tuple[nn.Module, History]:
    """Train the recipe's network on `dataset`, or finish what lies in `cache`."""
    model = network(recipe, seed)
    augmentation = recipe["augmentation"]
    training = {key: value for key, value in recipe.items() if key not in NOT_TRAINING}
    digest = hashlib.sha256(json.dumps(training, sort_keys=True).encode()).hexdigest()[:16]
    history = fit(
        model,
        dataset,
        epochs=recipe["epochs"],
        batch_size=recipe["batch_size"],
        optimizer=recipe["optimizer"],
        learning_rate=recipe["learning_rate"],
        schedule=recipe["schedule"],
        augmentation=Augmentation(**augmentation) if augmentation else None,
        label_smoothing=recipe["label_smoothing"],
        ema=recipe["ema"],
        execution=Execution(**recipe["execution"]),
        device="cpu",
        seed=seed,
        checkpoint=cache and cache / f"{digest}-{seed}",
        resume=cache is not None,
    )
    return model, history


def asked(recipe: Recipe) -> Callable[[nn.Module, NDArray[np.uint8]], NDArray[np.float32]]:
    """Return what turns a network and images (N, 28, 28) into probabilities (N, 10)."""
    return predict_shifted if recipe["shifts"] else predict_probabilities


def members(recipe: Recipe, seed: int) -> list[int]:
    """Return the seeds of the networks that answer together: one by itself, or all of a few but one.

    An ensemble of k leaves one of the networks 0 to k out, so that k + 1 ensembles need k + 1
    networks. Ensembles that share networks differ less than independent ones would.
    """
    count: int = recipe["members"]
    if count == 1:
        return [seed]
    if seed > count:
        raise ValueError(
            f"seed {seed}: only {count + 1} ensembles leave one of {count + 1} networks out"
        )
    return [member for member in range(count + 1) if member != seed]


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train the seed's members on the 60,000 training images, then open the test images once."""
    dataset, test = load_mnist("train"), load_mnist("test")
    trained = [train(recipe, member, dataset, cache=CACHE) for member in members(recipe, seed)]
    probabilities = np.mean([asked(recipe)(model, test.images) for model, _ in trained], axis=0)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != test.labels)
    return {
        "test_correct": len(test) - len(wrong),
        "test_images": len(test),
        "wrong": wrong.tolist(),
        "training_seconds": sum(sum(history.seconds) for _, history in trained),
        "parameters": sum(math.prod(p.shape) for model, _ in trained for p in model.parameters()),
    }


if __name__ == "__main__":
    main(
        "ladder_accuracy",
        {**rungs(), "smallest": SMALLEST},
        packages=("mnist-course", "numpy", "torch"),
        run=train_and_test,
        seeds=range(5),
    )
