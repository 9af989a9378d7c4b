"""The learning rates of `transfer.py` and `out_of_distribution.py` (chapter 13).

Each method learns from 500 of a data set's training images, about 50 of every class, and is judged on
the other training images. The test images are not opened. Every choice is made for a method, a target
and a start, and holds for any number of examples. LP-FT's first phase takes the rate that was best for
training the head alone.
"""

from typing import Any

import choices
from transfer import COMMON, TASKS, Recipe, tuned

from mnist_course.data import load
from mnist_course.finetuning import METHODS
from mnist_course.pytorch.training import evaluate

IMAGES = 500

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
PACKAGES = ("mnist-course", "numpy", "torch", "scikit-learn")


def validate(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Fine-tune on 500 training images; count the right answers on the others."""
    data = load(recipe["target"], "train")
    few, others = data.split(IMAGES / len(data), seed=seed)
    correct = evaluate(tuned(recipe, few, seed).model, others).correct
    return {"validation_correct": correct, "validation_images": len(others)}


def candidates(method: str) -> dict[str, Recipe]:
    """Return label → recipe for every task and learning rate of a method."""
    return {
        f"{task}, {method}: {rate:g}": {**COMMON, **settings, "method": method, "learning_rate": rate}
        for task, settings in PATHS.items()
        if task != NEW_HEAD or method in FEW
        for rate in RATES[method]
    }


def main() -> None:
    """Run the candidates that are missing, LP-FT's last."""
    variants: dict[str, Recipe] = {}
    for method in METHODS:
        if method != "lpft":
            variants |= candidates(method)
    choices.main("transfer_choices", variants, packages=PACKAGES, run=validate)
    for label, recipe in candidates("lpft").items():
        task, _, _ = label.rpartition(", ")
        probe = choices.best("transfer_choices", f"{task}, linear")
        variants[label] = {**recipe, "probe_learning_rate": probe["learning_rate"]}
    choices.main("transfer_choices", variants, packages=PACKAGES, run=validate)


if __name__ == "__main__":
    main()
