"""A way of writing that is missing in training, and what repairs it (chapter 17).

The group are digits that lean to the left: the lowest seventh of each class of the training images by
slant, which is computed from the ink and needs no writer. LeNet-5 is trained on the same number of
images with and without them. Thresholds come from training images alone, and no setting was chosen by
looking at any result. The test images are opened once per seed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from over_seeds import Recipe, main

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset, load_mnist
from mnist_course.pytorch.models import build
from mnist_course.pytorch.training import evaluate, fit

SHARE = 1 / 7
COMMON = {
    "model": "lenet5",
    "examples": 10_000,
    "epochs": 6,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "schedule": "cosine",
}
WITHOUT = {**COMMON, "of_the_group": 0}
VARIANTS: dict[str, Recipe] = {
    "everybody": COMMON,
    "without the group": WITHOUT,
    "with 100 of the group": {**COMMON, "of_the_group": 100},
    "without, turned by 10°": {**WITHOUT, "augmentation": {"rotation": 10, "shift": 2, "zoom": 0.1}},
    "without, turned by 25°": {**WITHOUT, "augmentation": {"rotation": 25, "shift": 2, "zoom": 0.1}},
}


def slant(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how far each image (N, 28, 28) leans to the right, in columns per row."""
    ink, r = images.astype(np.float64), np.arange(28.0)
    mass = ink.sum((1, 2))
    y = r - (ink.sum(2) @ r / mass)[:, None]
    x = r - (ink.sum(1) @ r / mass)[:, None]
    leaning: NDArray[np.float64] = -np.einsum("nij,ni,nj->n", ink, y, x)
    return leaning / np.einsum("nij,ni->n", ink, y**2)


def drawn(recipe: Recipe, train: ImageDataset, group: NDArray[np.bool_], seed: int) -> ImageDataset:
    """Return the seed's training images: of the group as many as the recipe says, or as it comes."""
    order = np.random.default_rng(seed).permutation(len(train))
    if "of_the_group" not in recipe:
        return train.subset(order[: recipe["examples"]])
    members = order[group[order]][: recipe["of_the_group"]]
    others = order[~group[order]][: recipe["examples"] - len(members)]
    return train.subset(np.concatenate([members, others]))


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train, then open the test images once, and count by group."""
    train, test = load_mnist("train"), load_mnist("test")
    leaning = slant(train.images)
    limits = np.array([np.quantile(leaning[train.labels == c], SHARE) for c in range(10)])
    data = drawn(recipe, train, leaning < limits[train.labels], seed)
    model = build(recipe["model"], seed=seed)
    altered = recipe.get("augmentation")
    fit(
        model,
        data,
        epochs=recipe["epochs"],
        batch_size=recipe["batch_size"],
        learning_rate=recipe["learning_rate"],
        schedule=recipe["schedule"],
        augmentation=None if altered is None else Augmentation(**altered),
        seed=seed,
        device="cpu",
        progress=False,
    )
    result = evaluate(model, test)
    right, group = result.predictions == test.labels, slant(test.images) < limits[test.labels]
    return {
        "test_correct": result.correct,
        "test_images": len(test),
        "parts": {
            name: {"correct": int(right[members].sum()), "images": int(members.sum())}
            for name, members in (("group", group), ("others", ~group))
        },
    }


if __name__ == "__main__":
    import missing_group  # a worker is sent the function by its name

    packages = ["mnist-course", "numpy", "torch"]
    main("missing_group", VARIANTS, packages=packages, run=missing_group.train_and_test, seeds=range(5))
