"""From MNIST to optical digits and to Fashion-MNIST: how many examples a method needs (chapter 13).

LeNet-5 is trained on MNIST's 60,000 training images, one network per seed. Each run gives one method
some examples of the other data set, drawn by the seed, and the same number of steps; the same is done
from random weights. The learning rates were chosen on validation images (`transfer_choices.py`). The
test images are opened once per run and choose nothing.

Optical digits are the same ten classes from other people and another scanner: the network's head is
kept, and without any example it can be tested as it is. Fashion's classes are others: the head is new.

A seed's network is trained once in a process, by the first run that needs it, so that run takes longer;
``training_seconds`` are the method's alone.
"""

from functools import lru_cache
from typing import Any

import choices
from over_seeds import Recipe, main
from torch import nn

from mnist_course.data import ImageDataset, load
from mnist_course.finetuning import METHODS
from mnist_course.finetuning.few_shot import draw
from mnist_course.finetuning.methods import FineTuned, fine_tune
from mnist_course.models import build
from mnist_course.pytorch.training import evaluate, fit

PRETRAINING: Recipe = {"epochs": 3, "batch_size": 64, "learning_rate": 1e-3}
COMMON: Recipe = {
    "model": "lenet5",
    "pretraining": PRETRAINING,
    "steps": 800,
    "batch_size": 32,
    "schedule": "cosine",
    "rank": 4,
}
"""What was fixed beforehand."""

TASKS: dict[str, Recipe] = {
    "optdigits, pretrained start": {"target": "optdigits", "start": "pretrained", "new_head": False},
    "optdigits, random start": {"target": "optdigits", "start": "random", "new_head": True},
    "fashion, pretrained start": {"target": "fashion", "start": "pretrained", "new_head": True},
    "fashion, random start": {"target": "fashion", "start": "random", "new_head": True},
}
EXAMPLES: dict[str, tuple[int | None, ...]] = {
    "optdigits": (10, 50, 100, None),
    "fashion": (10, 50, 100, 500, None),
}
"""Target → examples per class. ``None`` is all: 117 to 123 optical digits, or 600 of Fashion."""


def variants() -> dict[str, Recipe]:
    """Return label → recipe for every task, number of examples and method."""
    untouched = {**COMMON, "target": "optdigits", "start": "pretrained", "method": None, "examples": 0}
    rates = {(task, method): chosen_rates(task, method) for task in TASKS for method in METHODS}
    return {"optdigits, 0 per class, untouched": untouched} | {
        f"{task}, {examples or 'all'} per class, {method}": {
            **COMMON,
            **settings,
            "method": method,
            "examples": examples,
            **rates[task, method],
        }
        for task, settings in TASKS.items()
        for examples in EXAMPLES[settings["target"]]
        for method in METHODS
    }


def chosen_rates(task: str, method: str) -> Recipe:
    """Return the learning rate chosen for a task and a method, and that of LP-FT's first phase."""
    recipe = choices.best("transfer_choices", f"{task}, {method}")
    return {name: recipe[name] for name in ("learning_rate", "probe_learning_rate") if name in recipe}


@lru_cache(maxsize=1)
def pretrained(seed: int) -> nn.Module:
    """Return LeNet-5 after training on MNIST; nothing here changes it."""
    network: nn.Module = build("lenet5", seed=seed)
    fit(network, load("mnist", "train"), **PRETRAINING, seed=seed, device="cpu", progress=False)
    return network


def tuned(recipe: Recipe, data: ImageDataset, seed: int) -> FineTuned:
    """Fine-tune on `data` as the recipe says, for about its number of steps, in whole epochs."""
    start = pretrained(seed) if recipe["start"] == "pretrained" else build(recipe["model"], seed=seed)
    options = ("method", "batch_size", "schedule", "rank", "new_head", "learning_rate")
    return fine_tune(
        start,
        data,
        epochs=max(1, round(recipe["steps"] / -(-len(data) // recipe["batch_size"]))),
        **{name: recipe[name] for name in options},
        probe_learning_rate=recipe.get("probe_learning_rate"),
        seed=seed,
        device="cpu",
        progress=False,
    )


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Fine-tune on the seed's examples, then open the target's test images once."""
    test = load(recipe["target"], "test")
    if recipe["method"] is None:
        return {
            "test_correct": evaluate(pretrained(seed), test).correct,
            "test_images": len(test),
            "training_seconds": 0.0,
        }
    data = load(recipe["target"], "train")
    if recipe["examples"] is not None:
        data = draw(data, recipe["examples"], seed=seed)
    result = tuned(recipe, data, seed)
    history = result.history()
    return {
        "test_correct": evaluate(result.model, test).correct,
        "test_images": len(test),
        "train_images": len(data),
        "train_accuracy": history.train_accuracy[-1],
        "epochs": len(history),
        "trained_parameters": result.trained_parameters,
        "stored_bytes": result.stored_bytes,
        "training_seconds": result.seconds,
    }


if __name__ == "__main__":
    import transfer  # a worker is sent the function by its name, and keeps the network it has trained

    packages = ["mnist-course", "numpy", "torch", "scikit-learn"]
    main("transfer", variants(), packages=packages, run=transfer.train_and_test, seeds=range(5))
