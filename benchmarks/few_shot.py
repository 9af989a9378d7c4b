"""Optical digits and fashion from 1, 5 and 20 examples per class, on a network that knows MNIST.

LeNet-5 is trained on MNIST's 60,000 training images and then stays as it is. What it computes of a few
examples of the other data set is all that a classifier learns from; it is tested on the other data set's
test images. ``pixels`` and an untrained network's layer are what the features are held against.

A seed trains one network and draws the examples `DRAWS` times; a run's ``test_correct`` counts over all
draws. A seed's network is trained once in a process, by the first run that needs it, so the seconds of
that run are more than the others'. Nothing is tuned: the settings of training are those of
``lenet5_adam.py``, those of the classifiers come from the literature (see
`mnist_course.finetuning.few_shot`). Chapter 15 reads the results.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from over_seeds import Recipe, main

from mnist_course.data import load, scale
from mnist_course.finetuning.features import features
from mnist_course.finetuning.few_shot import CLASSIFIERS, draw
from mnist_course.pytorch.models import build
from mnist_course.pytorch.training import fit

PRETRAINING = {"epochs": 5, "batch_size": 64, "learning_rate": 1e-3}
TARGETS = ("optdigits", "fashion")
SOURCES = ("pixels", "untrained fc1", "conv2", "fc1", "fc2")
SHOTS = (1, 5, 20)
DRAWS = 5


def variants() -> dict[str, Recipe]:
    """Return label → recipe for every target, source of features, classifier and number of shots."""
    return {
        f"{target}, {source}, {classifier}, {shots} per class": {
            "model": "lenet5",
            "pretraining": PRETRAINING,
            "target": target,
            "features": source,
            "classifier": classifier,
            "shots": shots,
            "draws": DRAWS,
        }
        for target in TARGETS
        for source in SOURCES
        for classifier in CLASSIFIERS
        for shots in SHOTS
    }


@lru_cache(maxsize=1)
def pretrained(seed: int) -> Any:
    """Return LeNet-5 after training on MNIST."""
    network = build("lenet5", seed=seed)
    fit(network, load("mnist", "train"), **PRETRAINING, seed=seed, device="cpu", progress=False)
    return network


def rows_of(source: str, images: NDArray[np.uint8], seed: int) -> NDArray[np.float32]:
    """Return what a source makes of images (N, 28, 28): one row each."""
    if source == "pixels":
        return scale(images).reshape(len(images), -1)
    if source.startswith("untrained "):
        return features(build("lenet5", seed=seed), images, source.removeprefix("untrained "))
    return features(pretrained(seed), images, source)


@lru_cache(maxsize=2)  # consecutive runs share target and source
def query_rows(source: str, target: str, seed: int) -> NDArray[np.float32]:
    """Return what a source makes of the target's test images."""
    return rows_of(source, load(target, "test").images, seed)


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Draw the examples, fit the classifier, and count what it gets right; again for every draw."""
    source, target = recipe["features"], recipe["target"]
    labels, queries = load(target, "test").labels, query_rows(source, target, seed)
    correct = 0
    for number in range(recipe["draws"]):
        examples = draw(load(target, "train"), recipe["shots"], seed=recipe["draws"] * seed + number)
        classifier = CLASSIFIERS[recipe["classifier"]]()
        classifier.fit(rows_of(source, examples.images, seed), examples.labels)
        correct += int((classifier.predict(queries) == labels).sum())
    return {"test_correct": correct, "test_images": len(labels) * recipe["draws"]}


if __name__ == "__main__":
    import few_shot  # a worker is sent the function by its name, and keeps what it has made

    packages = ["mnist-course", "numpy", "torch", "scikit-learn"]
    main("few_shot", variants(), packages=packages, run=few_shot.train_and_test, seeds=range(5))
