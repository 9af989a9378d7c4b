"""Fine-tuned on one kind of images, tested on others: LP-FT against full fine-tuning (chapter 13).

A network that has learned MNIST is fine-tuned on optical digits. In distribution are the optical digits'
test images. Out of distribution are MNIST's test images, which the pretrained network knew, and the
optical digits noisy, turned or moved, which it never saw. The head is kept, or begins anew as it must
where classes change: then its first gradients carry nothing but noise into the layers below it, unless
it is trained alone first.

The learning rates were chosen on optical digits as they are (`transfer_choices.py`): images out of
distribution choose nothing. A run's ``test_correct`` is in distribution, ``outside`` counts the others.

References
----------
Kumar et al., Fine-tuning can distort pretrained features and underperform out-of-distribution, 2022.
"""

from functools import cache
from typing import Any

import numpy as np
from over_seeds import Recipe, main
from transfer import COMMON, TASKS, chosen_rates, pretrained, tuned
from transfer_choices import FEW, NEW_HEAD, PATHS

from mnist_course.data import ImageDataset, load, scale
from mnist_course.data.corruption import add_gaussian_noise
from mnist_course.finetuning.few_shot import draw
from mnist_course.pytorch.training import evaluate

HEADS = {"kept": next(iter(TASKS)), "new": NEW_HEAD}
EXAMPLES = (10, None)
NOISE, DEGREES, PIXELS = 0.4, 25, 3


def variants() -> dict[str, Recipe]:
    """Return label → recipe: before, and each method with either head on few and on all examples."""
    before = {**COMMON, "target": "optdigits", "start": "pretrained", "method": None, "examples": 0}
    return {"before": before} | {
        f"head {head}, {examples or 'all'} per class, {method}": {
            **COMMON,
            **PATHS[task],
            "method": method,
            "examples": examples,
            **chosen_rates(task, method),
        }
        for head, task in HEADS.items()
        for examples in EXAMPLES
        for method in FEW
    }


@cache
def outside() -> dict[str, ImageDataset]:
    """Return the data sets out of distribution."""
    from scipy.ndimage import rotate, shift

    test = load("optdigits", "test")
    noisy = add_gaussian_noise(scale(test.images), NOISE, seed=0)
    return {
        "MNIST": load("mnist", "test"),
        f"noise of {NOISE:g}": _altered(test, np.rint(255 * noisy)),
        f"turned by {DEGREES}°": _altered(
            test, rotate(test.images, DEGREES, (2, 1), reshape=False, order=1)
        ),
        f"moved by {PIXELS} pixels": _altered(test, shift(test.images, (0, PIXELS, PIXELS), order=0)),
    }


def _altered(dataset: ImageDataset, images: Any) -> ImageDataset:
    return ImageDataset(images.astype(np.uint8), dataset.labels, dataset.class_names)


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Fine-tune on the seed's examples, then open all test images once."""
    network, seconds = pretrained(seed), 0.0
    if recipe["method"] is not None:
        data = load("optdigits", "train")
        if recipe["examples"] is not None:
            data = draw(data, recipe["examples"], seed=seed)
        result = tuned(recipe, data, seed)
        network, seconds = result.model, result.seconds
    test = load("optdigits", "test")
    return {
        "test_correct": evaluate(network, test).correct,
        "test_images": len(test),
        "outside": {
            name: {"correct": evaluate(network, data).correct, "images": len(data)}
            for name, data in outside().items()
        },
        "training_seconds": seconds,
    }


if __name__ == "__main__":
    import out_of_distribution  # a worker is sent the function by its name, and keeps what it has made

    packages = ["mnist-course", "numpy", "scipy", "torch", "scikit-learn"]
    run = out_of_distribution.train_and_test
    main("out_of_distribution", variants(), packages=packages, run=run, seeds=range(10))
