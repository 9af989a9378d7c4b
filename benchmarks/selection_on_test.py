"""How much choosing on the test images flatters: the best epoch, and the best of several runs.

It opens the test images after every epoch, on purpose. They are cut into 20 random parts of 500, the
same for every run, and each part's number of right answers is recorded. So one can choose an epoch (or a
run) on some parts and look at the others, which had no say: the difference is what the choice flatters.
The validation images, from the training set, are the honest alternative (chapter 9).
"""

import os
from tempfile import TemporaryDirectory
from typing import Any

# A network this small gains nothing from a second thread. Set before NumPy and PyTorch are imported.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from over_seeds import main

from mnist_course.data import load_mnist
from mnist_course.models import build, wing

RECIPE = {
    "framework": "pytorch",
    "model": "lenet5",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "batch_size": 64,
    "epochs": 12,
    "training_images": 10_000,
    "validation_images": 5_000,
    "test_parts": 20,
}


def train_and_count(recipe: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train epoch by epoch; after each, count the right answers on validation and test images.

    All runs share the images and their roles. The seed decides the initial weights and the order.
    """
    settings = dict(recipe)
    training = wing(settings.pop("framework"), "training")
    model = build(settings.pop("model"), recipe["framework"], seed=seed)
    sizes = settings.pop("training_images"), settings.pop("validation_images")
    held_out, rest = load_mnist("train").split(sizes[1] / 60_000, seed=0)
    train, _ = rest.split(sizes[0] / len(rest), seed=0)
    test = load_mnist("test")
    parts = np.random.default_rng(0).permutation(len(test)).reshape(settings.pop("test_parts"), -1)
    validation_correct, test_correct = [], []
    with TemporaryDirectory() as folder:
        for epoch in range(1, settings.pop("epochs") + 1):
            training.fit(
                model, train, epochs=epoch, checkpoint=folder, resume=True, seed=seed, device="cpu",
                progress=False, **settings,
            )  # fmt: skip
            validation_correct.append(training.evaluate(model, held_out).correct)
            result = training.evaluate(model, test)
            right = result.predictions == result.labels  # (10000,)
            test_correct.append(right[parts].sum(axis=1).tolist())
    return {
        "test_correct": sum(test_correct[-1]),
        "test_images": len(test),
        "validation_correct_by_epoch": validation_correct,
        "test_correct_by_epoch_and_part": test_correct,
    }


if __name__ == "__main__":
    main(
        "selection_on_test",
        {"LeNet-5, 10,000 images": RECIPE},
        packages=["mnist-course", "numpy", "torch"],
        run=train_and_count,
        seeds=range(20),
    )
