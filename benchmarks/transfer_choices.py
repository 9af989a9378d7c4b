"""The learning rates of `transfer.py` and `out_of_distribution.py` (chapter 13).

Each method learns from 500 of a data set's training images, about 50 of every class, and is judged on
the other training images. The test images are not opened. Every choice is made for a method, a target
and a start, and holds for any number of examples. LP-FT's first phase takes the rate that was best for
training the head alone.
"""

import argparse
from typing import Any

import rate_choices
from transfer import COMMON, TASKS, Recipe, tuned

from mnist_course.data import load
from mnist_course.finetuning import METHODS
from mnist_course.pytorch.training import evaluate

IMAGES = 500
SEEDS = (100, 101)
"""Not those of the runs on the test images."""

NEW_HEAD = "optdigits, pretrained start, new head"
"""A task of `out_of_distribution.py`."""

PATHS = {**TASKS, NEW_HEAD: {"target": "optdigits", "start": "pretrained", "new_head": True}}
FEW = ("linear", "full", "lpft")
"""Methods that are compared with a new head."""

LOW, MIDDLE = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
HIGH, HIGHEST = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
RATES = {
    "linear": HIGH, "full": MIDDLE, "lpft": LOW, "gradual": MIDDLE, "layerwise": MIDDLE,
    "lora": MIDDLE, "adapter": HIGH, "bias": HIGH, "prompt": HIGHEST,
}  # fmt: skip
"""Method → candidates."""


def validate(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Fine-tune on 500 training images; count the right answers on the others."""
    data = load(recipe["target"], "train")
    few, others = data.split(IMAGES / len(data), seed=seed)
    result = tuned(recipe, few, seed)
    return {"correct": evaluate(result.model, others).correct, "images": len(others)}


def recipes() -> dict[tuple[str, str], Recipe]:
    """Return (task, method) → recipe without its learning rate."""
    return {
        (task, method): {**COMMON, **settings, "method": method}
        for task, settings in PATHS.items()
        for method in (FEW if task == NEW_HEAD else METHODS)
    }


def main() -> None:
    """Run every candidate with every seed and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    workers = parser.parse_args().workers
    first = {key: recipe for key, recipe in recipes().items() if key[1] != "lpft"}
    table = rate_choices.measured(first, RATES, validate, SEEDS, workers)
    second = {
        (task, "lpft"): {
            **recipe, "probe_learning_rate": rate_choices.best(table[task]["linear"])
        }
        for (task, method), recipe in recipes().items()
        if method == "lpft"
    }  # fmt: skip
    for task, methods in rate_choices.measured(second, RATES, validate, SEEDS, workers).items():
        table[task] |= methods
    chosen = {
        task: {
            method: {"learning_rate": rate_choices.best(candidates)}
            for method, candidates in methods.items()
        }
        for task, methods in table.items()
    }
    for (task, method), recipe in second.items():
        chosen[task][method]["probe_learning_rate"] = recipe["probe_learning_rate"]
    packages = ["mnist-course", "numpy", "torch", "scikit-learn"]
    rate_choices.write("transfer_choices", table, chosen, packages, SEEDS)


if __name__ == "__main__":
    main()
