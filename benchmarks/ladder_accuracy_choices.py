"""The numbers in `ladder_accuracy.py`, compared on validation images (chapter 12).

Every candidate changes one thing, trains on 50,000 of the training images and is judged on the 10,000
others, the same of every class, as they are and shifted. The test images are not opened. Candidates for
the best network train for fewer epochs than it will.
"""

from typing import Any

from ladder_accuracy import SMALLEST, rungs, train
from over_seeds import Recipe, main

from mnist_course.data import load_mnist
from mnist_course.pytorch.ladder import predict_shifted
from mnist_course.pytorch.training import evaluate

BASE: Recipe = {
    **rungs()["five convolutions, batch norm"],
    "network": [[32, 32], [64, 64], [128]],
    "ema": 0.999,
}
ALTERED = BASE["augmentation"]


def tiny(blocks: list[list[int]], **change: Any) -> Recipe:
    """Return a candidate for the smallest network."""
    return {**SMALLEST, "network": blocks, **change}


CANDIDATES: dict[str, Recipe] = {
    "base": BASE,
    "altered more": {**BASE, "augmentation": {"rotation": 15.0, "shift": 2.5, "zoom": 0.15}},
    "bent": {**BASE, "augmentation": {**ALTERED, "elastic": [34.0, 4.0]}},
    "half again as wide": {**BASE, "network": [[48, 48], [96, 96], [192]]},
    "no label smoothing": {**BASE, "label_smoothing": 0.0},
    "dropout 0.3": {**BASE, "dropout": 0.3},
    "last weights": {**BASE, "ema": None},
    "learning rate 0.005": {**BASE, "learning_rate": 0.005},
    "smallest: 6, 8 and 12, 12": tiny([[6, 8], [12, 12]]),
    "smallest: 6, 8 and 12, 12, altered more": tiny([[6, 8], [12, 12]], augmentation=ALTERED),
    "smallest: 6 and 10, 12": tiny([[6], [10, 12]]),
    "smallest: 4, 6 and 8, 10": tiny([[4, 6], [8, 10]]),
    "smallest: 4, 6 and 10, 12": tiny([[4, 6], [10, 12]]),
}
"""Label → recipe."""


def validate(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on 50,000 images; count the right answers to the 10,000 others."""
    dataset, validation = load_mnist("train").split(50 / 60, seed=0)
    model, _ = train(recipe, seed, dataset)
    shifted = predict_shifted(model, validation.images).argmax(axis=1)
    return {
        "validation_correct": evaluate(model, validation).correct,
        "validation_images": len(validation),
        "shifted_correct": int((shifted == validation.labels).sum()),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


if __name__ == "__main__":
    main(
        "ladder_accuracy_choices",
        CANDIDATES,
        packages=("mnist-course", "numpy", "torch"),
        run=validate,
        seeds=(100, 101),
        judged_on="validation",
    )
