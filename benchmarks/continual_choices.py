"""How strong EWC's springs should be, chosen on validation images (chapter 15).

Every candidate learns the tasks of `continual.py` on 50,000 of the training images and is judged on the
10,000 others, by the accuracy over all tasks at the end. The test images are not opened. `continual.py`
takes the best, of equals the weaker.
"""

from typing import Any

import choices
import continual
from over_seeds import Recipe

from mnist_course.data import load_mnist
from mnist_course.finetuning.continual import SCENARIOS

STRENGTHS: dict[str, list[float]] = {
    "split": [1e3, 1e5, 1e7, 1e9],
    "permuted": [1e1, 1e2, 1e3, 1e4],
}
"""Wide steps, because the accuracy changes little from one to the next."""


def variants() -> dict[str, Recipe]:
    """Return label → recipe for both protocols, all scenarios and all strengths."""
    return {
        f"{protocol}, {scenario}, ewc: {strength:g}": continual.recipe_of(
            protocol, scenario, "ewc", strength=strength
        )
        for protocol, strengths in STRENGTHS.items()
        for scenario in SCENARIOS
        for strength in strengths
    }


def validate(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Learn all tasks on 50,000 images; count the right answers to the 10,000 others at the end."""
    train, validation = load_mnist("train").split(50 / 60, seed=0)
    found = continual.learn(recipe, continual.tasks_of(recipe, train, validation, seed), seed)
    return {"validation_correct": found["test_correct"], "validation_images": found["test_images"]}


if __name__ == "__main__":
    packages = ("mnist-course", "numpy", "torch")
    choices.main("continual_choices", variants(), packages=packages, run=validate)
