"""Forgetting on split and permuted MNIST, in three scenarios, and what is done against it (chapter 15).

Split MNIST follows van de Ven and Tolias (2019, arXiv:1904.07734): five tasks of two digits, a dense
network of two layers of 400, Adam, 2,000 batches of 128 per task; every seed deals the digits out anew.
Permuted MNIST has their ten tasks, with the same network and 500 batches each, about an epoch; theirs is
larger and trains for 5,000.

EWC's strength was chosen on validation images by ``continual_choices.py``. The size of the store is that
of van de Ven, Tuytelaars and Tolias (2022), the temperature that of Li and Hoiem (2018). The test images
are opened once per run and choose nothing.

A run's ``accuracies`` hold a row per task learned, with the test accuracy on every task so far. What the
literature reports is the mean of the last row; ``test_accuracy`` counts all test images alike.
"""

from typing import Any

import choices
from over_seeds import Recipe, main

from mnist_course.data import ImageDataset, load_mnist
from mnist_course.finetuning.continual import (
    SCENARIOS,
    STRATEGIES,
    Task,
    permuted_tasks,
    run,
    split_tasks,
)

TRAINING = {"batch_size": 128, "learning_rate": 1e-3}
PROTOCOLS: dict[str, Recipe] = {
    "split": {"tasks": "split", "count": 5, "iterations": 2_000, **TRAINING},
    "permuted": {"tasks": "permuted", "count": 10, "iterations": 500, **TRAINING},
}
OPTIONS: dict[str, dict[str, Recipe]] = {
    "split": {"replay": {"per_class": 100}, "lwf": {"temperature": 2.0}, "ewc": {"examples": 1_000}},
    "permuted": {"replay": {"per_class": 10}, "lwf": {"temperature": 2.0}, "ewc": {"examples": 200}},
}
"""Protocol → strategy → its settings; EWC's strength comes from the choices."""


def recipe_of(protocol: str, scenario: str, strategy: str, **options: Any) -> Recipe:
    """Return the recipe of a variant; `options` are added to the strategy's."""
    settings = {**OPTIONS[protocol].get(strategy, {}), **options}
    return {**PROTOCOLS[protocol], "scenario": scenario, "strategy": strategy, "options": settings}


def variants() -> dict[str, Recipe]:
    """Return label → recipe for both protocols, all scenarios and all strategies."""
    found = {}
    for protocol in PROTOCOLS:
        for scenario in SCENARIOS:
            for strategy in STRATEGIES:
                label = f"{protocol}, {scenario}, {strategy}"
                if strategy == "ewc":
                    found[label] = choices.best("continual_choices", label)
                else:
                    found[label] = recipe_of(protocol, scenario, strategy)
    return found


def tasks_of(recipe: Recipe, train: ImageDataset, test: ImageDataset, seed: int) -> list[Task]:
    """Return the recipe's tasks as the seed deals them out."""
    make = {"split": split_tasks, "permuted": permuted_tasks}[recipe["tasks"]]
    return make(train, test, count=recipe["count"], seed=seed)


def learn(recipe: Recipe, tasks: list[Task], seed: int) -> dict[str, Any]:
    """Learn the tasks; return the accuracies and how many images are classified correctly at the end."""
    accuracies = run(
        tasks,
        STRATEGIES[recipe["strategy"]](**recipe["options"]),
        recipe["scenario"],
        seed=seed,
        iterations=recipe["iterations"],
        batch_size=recipe["batch_size"],
        learning_rate=recipe["learning_rate"],
        progress=False,
    )
    sizes = [len(task.test) for task in tasks]
    return {
        "test_correct": sum(
            round(share * size) for share, size in zip(accuracies[-1], sizes, strict=True)
        ),
        "test_images": sum(sizes),
        "accuracies": [row[: number + 1].tolist() for number, row in enumerate(accuracies)],
    }


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Learn the recipe's tasks on the 60,000 training images, tested on the 10,000 test images."""
    return learn(recipe, tasks_of(recipe, load_mnist("train"), load_mnist("test"), seed), seed)


if __name__ == "__main__":
    packages = ["mnist-course", "numpy", "torch"]
    main("continual", variants(), packages=packages, run=train_and_test, seeds=range(5))
