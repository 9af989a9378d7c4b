"""How high the rank of LoRA's changes has to be, from MNIST to two other tasks (chapter 14).

LeNet-5 is trained on MNIST, once per seed. From there it goes to the optical digits, the same classes
from another scanner, and to Fashion-MNIST, other classes, for which it gets a new head. The head always
trains; beside it nothing, changes of some rank in all other layers, or all weights.

Every run makes the same number of steps with each candidate learning rate and keeps the network that
does best on a fifth of its images, held out. The test images are opened once per run and choose nothing.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from over_seeds import Recipe, main
from torch import nn

from mnist_course.data import ImageDataset, load_fashion_mnist, load_mnist, load_optdigits
from mnist_course.finetuning.methods import fine_tune
from mnist_course.models import build
from mnist_course.pytorch import training

PRETRAINING: Recipe = {"epochs": 3, "batch_size": 64, "learning_rate": 1e-3}
COMMON: Recipe = {
    "framework": "pytorch",
    "model": "lenet5",
    "pretraining": PRETRAINING,
    "batch_size": 50,
    "steps": 600,
    "validation_share": 0.2,
}
"""What was fixed beforehand."""

TASKS: dict[str, Recipe] = {
    "optical digits": {"images": 1197, "new_head": False},
    "Fashion-MNIST": {"images": 6000, "new_head": True},
}
"""All training images that the course has of both; a seed decides which of them are held out."""

LOADERS: dict[str, Callable[[str], ImageDataset]] = {
    "optical digits": load_optdigits,
    "Fashion-MNIST": load_fashion_mnist,
}

HEAD: Recipe = {"method": "linear", "learning_rates": [3e-3, 1e-2, 3e-2, 1e-1]}
LORA: Recipe = {"method": "lora", "learning_rates": [1e-3, 3e-3, 1e-2, 3e-2]}
FULL: Recipe = {"method": "full", "learning_rates": [3e-4, 1e-3, 3e-3, 1e-2]}
CHANGES: dict[str, Recipe] = {
    "head alone": HEAD,
    **{f"rank {rank}": {**LORA, "rank": rank} for rank in (1, 2, 4, 8, 16)},
    "all weights": FULL,
}
"""As many candidates for each; the fewer numbers train, the larger are the rates that suit them."""


def variants() -> dict[str, Recipe]:
    """Return label → recipe, every change for both tasks."""
    return {
        f"{task}, {name}": {**COMMON, "task": task, **data, **change}
        for task, data in TASKS.items()
        for name, change in CHANGES.items()
    }


@lru_cache
def pretrained(seed: int) -> nn.Module:
    """Return LeNet-5 trained on MNIST; nobody changes it, `fine_tune` copies."""
    network: nn.Module = build("lenet5", seed=seed)
    training.fit(network, load_mnist("train"), seed=seed, device="cpu", progress=False, **PRETRAINING)
    return network


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Fine-tune with each learning rate, keep the best on validation, open the test images once."""
    load = LOADERS[recipe["task"]]
    data = load("train")
    if recipe["images"] < len(data):
        data, _ = data.split(recipe["images"] / len(data), seed=seed)
    train, validation = data.split(1 - recipe["validation_share"], seed=seed)
    batches = math.ceil(len(train) / recipe["batch_size"])
    tried = [
        fine_tune(
            pretrained(seed),
            train,
            method=recipe["method"],
            rank=recipe.get("rank", 1),
            new_head=recipe["new_head"],
            epochs=math.ceil(recipe["steps"] / batches),
            batch_size=recipe["batch_size"],
            learning_rate=rate,
            seed=seed,
            device="cpu",
            progress=False,
        )
        for rate in recipe["learning_rates"]
    ]
    correct = [training.evaluate(one.model, validation).correct for one in tried]
    best = correct.index(max(correct))
    test = load("test")
    return {
        "test_correct": training.evaluate(tried[best].model, test).correct,
        "test_images": len(test),
        "validation_correct": correct,  # by learning rate
        "validation_images": len(validation),
        "learning_rate": recipe["learning_rates"][best],
        "trained_parameters": tried[best].trained_parameters,
        "stored_bytes": tried[best].stored_bytes,
    }


if __name__ == "__main__":
    import lora_rank  # a worker is sent the function by its name, and keeps the network it has trained

    packages = ["mnist-course", "numpy", "torch"]
    main("lora_rank", variants(), packages=packages, run=lora_rank.train_and_test, seeds=range(5))
