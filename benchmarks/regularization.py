"""What each regulariser is worth, alone and together, on 60,000 and on 1,000 images (chapter 10).

The network is LeNet-5 in every variant, and only the named regulariser is added to the plain recipe. The
strengths are the same for both sizes; `regularization_strengths.py` chose them on validation images. The
test images are opened once per run and choose nothing. With 1,000 images every seed draws others, the
same number of each class.
"""

import json
from typing import Any

import measure
from over_seeds import Recipe, main

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset, load_mnist
from mnist_course.pytorch import regularized, training

SIZES: dict[int, Recipe] = {
    60_000: {"epochs": 6, "batch_size": 128, "learning_rate": 2e-3},
    1_000: {"epochs": 80, "batch_size": 32, "learning_rate": 1e-3},
}
"""What was fixed beforehand: long enough that the training loss stops falling."""

COMMON = {"framework": "pytorch", "model": "lenet5", "optimizer": "adamw", "schedule": "cosine"}
KINDS = ("dropout", "batch normalization", "weight decay", "augmentation")
OFF: Recipe = {"dropout": 0.0, "batch_norm": False, "weight_decay": 0.0, "augmentation": None}


def variants() -> dict[str, Recipe]:
    """Return label → recipe: plain, each regulariser alone, all of them; for both sizes."""
    found = json.loads((measure.RESULTS / "regularization_strengths.json").read_text(encoding="utf-8"))
    strengths: dict[str, Recipe] = {"batch normalization": {"batch_norm": True}}
    for kind, chosen in found["chosen"].items():
        strengths[kind] = found["candidates"][kind][chosen]["strength"]
    added: dict[str, Recipe] = {"plain": {}}
    added |= {f"+ {kind}": strengths[kind] for kind in KINDS}
    added["+ all"] = {key: value for kind in KINDS for key, value in strengths[kind].items()}
    return {
        f"{size:,} images, {name}": {**COMMON, "train_images": size, **settings, **OFF, **strength}
        for size, settings in SIZES.items()
        for name, strength in added.items()
    }


def train(recipe: Recipe, data: ImageDataset, seed: int) -> tuple[Any, Any]:
    """Train LeNet-5 as the recipe says; return the network and its history."""
    settings = {key: value for key, value in recipe.items() if key not in ("framework", "model")}
    settings.pop("train_images")
    layers = {key: settings.pop(key) for key in ("dropout", "batch_norm")}
    values = settings.pop("augmentation")
    network = regularized.build(**layers, seed=seed)
    history = training.fit(
        network,
        data,
        **settings,
        augmentation=Augmentation(**values) if values else None,
        seed=seed,
        device="cpu",
        progress=False,
    )
    return network, history


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on the seed's training images, then open the 10,000 test images once."""
    data = load_mnist("train")
    if recipe["train_images"] < len(data):
        data, _ = data.split(recipe["train_images"] / len(data), seed=seed)
    network, history = train(recipe, data, seed)
    test = load_mnist("test")
    return {
        "test_correct": training.evaluate(network, test).correct,
        "test_images": len(test),
        # on the unaltered training images, in evaluation mode: what the gap to the test set is made of
        "train_correct": training.evaluate(network, data).correct,
        "train_images": len(data),
        "train_loss": history.train_loss,
    }


if __name__ == "__main__":
    packages = ["mnist-course", "numpy", "torch"]
    main("regularization", variants(), packages=packages, run=train_and_test, seeds=range(5))
