"""From the script that everybody copies to the fastest run, one change per rung (chapter 12).

Rung 0 is PyTorch's own MNIST example as it trains on a CPU. Every rung is the one before with one
change. The numbers in the changes were chosen on 10,000 held-out training images
(`ladder_time_choices.py`). Here each run trains on all 60,000 and opens the test images once, at the
end. Rung 1, data in memory, computes what rung 0 computes but for the last bit of some pixels, so its
runs stand for both.

This file measures accuracy over seeds. The seconds of these runs mean little, because several may run at
once; `ladder_time_seconds.py` takes the rungs' times side by side.
"""

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from over_seeds import Recipe, main
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mnist_course import schedules
from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset, load_mnist
from mnist_course.pytorch.ladder import LadderCNN
from mnist_course.pytorch.loaders import TensorLoader
from mnist_course.pytorch.training import evaluate

COMMON: Recipe = {
    "data": "torchvision",
    "shuffle": False,
    "network": {},
    "optimizer": "adadelta",
    "learning_rate": 1.0,
    "schedule": "0.7 per epoch",
    "batch_size": 64,
    "epochs": 14,
    "label_smoothing": 0.0,
    "precision": "float32",
    "channels_last": False,
}
"""PyTorch's example on a CPU. It passes ``shuffle=True`` only where it finds an accelerator."""

CHANGES: dict[str, Recipe] = {
    "the common script": {},
    "data in memory": {"data": "memory"},
    "pooling after each convolution": {"network": {"early_pooling": True}},
    "shuffled": {"shuffle": True},
    "AdamW, one cycle of 5 epochs": {
        "optimizer": "adamw",
        "learning_rate": 0.005,
        "schedule": "one cycle",
        "epochs": 5,
    },
    "batch norm, no dropout": {"network": {"batch_norm": True, "dropout": [0.0, 0.0]}},
    "no hidden layer": {"network": {"hidden": 0}},
    "kernels 5 × 5, 16 and 64": {"network": {"kernel_sizes": [5, 5], "channels": [16, 64]}},
    "border of 2 pixels cut off": {"network": {"crop": 2}},
    "label smoothing": {"label_smoothing": 0.1},
    "batches of 128": {"batch_size": 128, "learning_rate": 0.02},
    "bf16": {"precision": "bf16"},
    "channels last": {"channels_last": True},
    "1 epoch": {"epochs": 1},
}
"""Rung → what it changes in the recipe of the rung before; networks are merged key by key."""

SHARES: dict[str, Recipe] = {
    "1/350 of the time": {"network": {"crop": 3}, "epochs": 0.7},
    "1/250 of the time": {"network": {"crop": 3}},
    "1/60 of the time": {
        "network": {"channels": [16, 48, 64], "kernel_sizes": [5, 5, 3], "crop": 1},
        "epochs": 2.4,
        "learning_rate": 0.01,
        "augmentation": {"rotation": 12.0, "shift": 1.5, "zoom": 0.12},
    },
}
"""What becomes of the last rung with this share of the common script's time."""


def rungs() -> dict[str, Recipe]:
    """Return every rung's whole recipe, in order, and after the last one what becomes of it."""
    found: dict[str, Recipe] = {}
    recipe = COMMON
    for name, change in CHANGES.items():
        found[name] = recipe = changed(recipe, change)
    return found | {name: changed(recipe, change) for name, change in SHARES.items()}


def changed(recipe: Recipe, change: Recipe) -> Recipe:
    """Return the recipe with the change in it."""
    return {**recipe, **change, "network": {**recipe["network"], **change.get("network", {})}}


class Run:
    """One run, prepared and ready to take steps."""

    def __init__(self, recipe: Recipe, dataset: ImageDataset, seed: int) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        form = torch.channels_last if recipe["channels_last"] else torch.contiguous_format
        self.network = LadderCNN(**recipe["network"]).to(memory_format=form)
        self.form = form
        self.loader = LOADERS[recipe["data"]](recipe, dataset, seed)
        self.steps = round(recipe["epochs"] * len(self.loader))
        self.optimizer = self._optimizer()
        self.learning_rate = self._schedule()

    def train(self, steps: int | None = None) -> None:
        """Take the first `steps` steps of the run, all of them unless given."""
        self.network.train()
        low = self.recipe["precision"] == "bf16"
        for step, (images, labels) in zip(
            range(self.steps if steps is None else min(steps, self.steps)), self._batches(), strict=False
        ):
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate(step)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
                logits = self.network(images.contiguous(memory_format=self.form))
            loss = F.cross_entropy(
                logits.float(), labels, label_smoothing=self.recipe["label_smoothing"]
            )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from self.loader

    def _optimizer(self) -> torch.optim.Optimizer:
        weights, rate = self.network.parameters(), self.recipe["learning_rate"]
        if self.recipe["optimizer"] == "adadelta":
            return torch.optim.Adadelta(weights, lr=rate)
        return torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.99), fused=True)

    def _schedule(self) -> schedules.Schedule:
        rate = self.recipe["learning_rate"]
        if self.recipe["schedule"].startswith("one cycle"):
            straight = self.recipe["schedule"] == "one cycle"
            return schedules.one_cycle(rate, self.steps, rising=0.2, final_factor=4, straight=straight)
        return schedules.step_decay(rate, every=len(self.loader), factor=0.7)


def in_memory(recipe: Recipe, dataset: ImageDataset, seed: int) -> Any:
    """Return the package's loader: one tensor, batches by index."""
    augmentation = recipe.get("augmentation")
    return TensorLoader(
        dataset,
        recipe["batch_size"],
        shuffle=recipe["shuffle"],
        seed=seed,
        augmentation=Augmentation(**augmentation) if augmentation else None,
    )


class Pictures(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """What `torchvision.datasets.MNIST` does with an image each time it is asked for."""

    def __init__(self, dataset: ImageDataset) -> None:
        from torchvision import transforms

        self.images = torch.tensor(dataset.images)
        self.labels = dataset.labels.tolist()
        self.transform = transforms.ToTensor()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index].numpy())), self.labels[index]


def one_by_one(recipe: Recipe, dataset: ImageDataset, seed: int) -> Any:
    """Return PyTorch's `DataLoader` in the training process, which is its default."""
    return torch.utils.data.DataLoader(
        Pictures(dataset),
        batch_size=recipe["batch_size"],
        shuffle=recipe["shuffle"],
        generator=torch.Generator().manual_seed(seed),  # else it draws from what dropout draws from
    )


LOADERS = {"memory": in_memory, "torchvision": one_by_one}


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on the 60,000 training images, then open the 10,000 test images once."""
    train, test = load_mnist("train"), load_mnist("test")
    start = time.perf_counter()
    run = Run(recipe, train, seed)
    run.train()
    spent = time.perf_counter() - start
    return {
        "test_correct": evaluate(run.network, test).correct,
        "test_images": len(test),
        "training_seconds": spent,
    }


def flop(recipe: Recipe, dataset: ImageDataset) -> int:
    """Count the floating-point operations of the convolutions and products of a run on `dataset`."""
    run = Run(recipe, dataset, seed=0)
    with FlopCounterMode(display=False) as counter:
        run.train(1)
    return counter.get_total_flops() * run.steps


def parameters(network: nn.Module) -> int:
    """Return how many numbers the network learns."""
    return sum(math.prod(weight.shape) for weight in network.parameters())


if __name__ == "__main__":
    main(
        "ladder_time",
        {name: recipe for name, recipe in rungs().items() if recipe["data"] == "memory"},
        packages=("mnist-course", "numpy", "torch", "torchvision"),
        run=train_and_test,
        seeds=range(3),
    )
