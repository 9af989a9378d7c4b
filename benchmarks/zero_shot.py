"""Two kinds of zero: no example of the other scanner's digits, and none of a digit (chapter 15).

*Transfer*: LeNet-5 is trained on MNIST and tested on the optical digits as it is; with the default
augmentation too, which is chosen without a look at them.

*Unseen classes*: two digits are held out, and LeNet-5 is trained on MNIST's other eight. What it
computes of some training images of these is matched to a description of the digits, which has the
held-out ones as well (`mnist_course.finetuning.zero_shot`). The test images are those of the two, and
the answer is one of the two, so that guessing gets half right; a run's ``among_ten`` counts where all
ten may be answered. A seed pairs the ten digits at random, and each of its five pairs is held out once:
a run's counts are sums over them. The networks of a seed are trained once in a process, by the first run
that needs them, so the seconds of that run are more than the others'.

Nothing is tuned: the training is that of ``lenet5_adam.py``, or shorter, and the classifiers have
scikit-learn's defaults.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from over_seeds import Recipe, main

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset, load, load_mnist, scale
from mnist_course.finetuning.features import features
from mnist_course.finetuning.zero_shot import (
    ByAttributes,
    ByEmbedding,
    attribute_table,
    printed_digits,
)
from mnist_course.pytorch.models import build
from mnist_course.pytorch.training import evaluate, fit

TRAINING = {"epochs": 5, "batch_size": 64, "learning_rate": 1e-3}
UNSEEN: Recipe = {"model": "lenet5", **TRAINING, "epochs": 2, "held_out": 2, "examples": 4_000}
LAYERS = ("conv2", "fc1", "fc2")
METHODS: dict[str, Callable[[], Any]] = {
    "attributes": lambda: ByAttributes(attribute_table()),
    "embedded attributes": lambda: ByEmbedding(attribute_table()),
    "embedded print": lambda: ByEmbedding(scale(printed_digits()).reshape(10, -1)),
}


def variants() -> dict[str, Recipe]:
    """Return label → recipe: transfer first, then every method on every layer."""
    transfer: Recipe = {"model": "lenet5", "target": "optdigits", **TRAINING, "augmentation": False}
    return {
        "transfer": transfer,
        "transfer, augmentation": {**transfer, "augmentation": True},
        **{
            f"unseen, {method}, {layer}": {**UNSEEN, "method": method, "layer": layer}
            for method in METHODS
            for layer in LAYERS
        },
    }


def trained(recipe: Recipe, train: ImageDataset, seed: int) -> Any:
    """Return the recipe's network after training."""
    network = build(recipe["model"], seed=seed)
    fit(
        network,
        train,
        **{name: recipe[name] for name in TRAINING},
        augmentation=Augmentation() if recipe.get("augmentation") else None,
        seed=seed,
        device="cpu",
        progress=False,
    )
    return network


def transfer(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on MNIST; test on the target and, for comparison, on MNIST."""
    network = trained(recipe, load_mnist("train"), seed)
    test, own = load(recipe["target"], "test"), load_mnist("test")
    return {
        "test_correct": evaluate(network, test).correct,
        "test_images": len(test),
        "mnist_correct": evaluate(network, own).correct,
        "mnist_images": len(own),
    }


def pairs_of(seed: int) -> list[list[int]]:
    """Return five pairs of digits, each digit in one of them."""
    pairs: list[list[int]] = np.random.default_rng(seed).permutation(10).reshape(5, 2).tolist()
    return [sorted(pair) for pair in pairs]


@lru_cache(maxsize=5)
def trained_without(pair: tuple[int, int], seed: int) -> Any:
    """Return the network that never saw these two digits."""
    return trained(UNSEEN, without(load_mnist("train"), pair), seed)


def without(dataset: ImageDataset, digits: tuple[int, ...]) -> ImageDataset:
    """Return the images of all other digits; the labels stay."""
    return dataset.subset(~np.isin(dataset.labels, digits))


def unseen(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Hold out every pair once; count the right answers on the pair's test images."""
    correct, among_ten, images = [], [], []
    test = load_mnist("test")
    for pair in pairs_of(seed):
        network = trained_without((pair[0], pair[1]), seed)
        seen = without(load_mnist("train"), (pair[0], pair[1]))
        known, _ = seen.split(recipe["examples"] / len(seen), seed=seed)
        queries = test.subset(np.isin(test.labels, pair))
        method = METHODS[recipe["method"]]()
        method.fit(features(network, known.images, recipe["layer"]), known.labels)
        rows = features(network, queries.images, recipe["layer"])
        correct.append(int((method.predict(rows, pair) == queries.labels).sum()))
        among_ten.append(int((method.predict(rows, range(10)) == queries.labels).sum()))
        images.append(len(queries))
    return {
        "test_correct": sum(correct),
        "test_images": sum(images),
        "among_ten": sum(among_ten),
        "pairs": [
            {"held_out": pair, "correct": right, "among_ten": of_ten, "images": count}
            for pair, right, of_ten, count in zip(
                pairs_of(seed), correct, among_ten, images, strict=True
            )
        ],
    }


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Do what the recipe is for."""
    return transfer(recipe, seed) if "target" in recipe else unseen(recipe, seed)


if __name__ == "__main__":
    import zero_shot  # a worker is sent the function by its name, and keeps what it has trained

    packages = ["mnist-course", "numpy", "torch", "scikit-learn", "matplotlib", "pillow"]
    main("zero_shot", variants(), packages=packages, run=zero_shot.train_and_test, seeds=range(5))
