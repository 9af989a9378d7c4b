"""Training and evaluating a NumPy network on an `ImageDataset`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_course.data import ImageDataset, epoch_order, scale
from mnist_course.data.batches import require_bytes
from mnist_course.evaluation import Evaluation
from mnist_course.history import History
from mnist_course.scratch import npz
from mnist_course.scratch.activations import softmax
from mnist_course.scratch.arrays import FloatArray
from mnist_course.scratch.losses import cross_entropy_and_gradient
from mnist_course.scratch.network import Sequential
from mnist_course.scratch.optimizers import SGD, Adam, AdamW, Optimizer
from mnist_course.scratch.regularization import Dropout
from mnist_course.training import Advance, AfterEpoch, require_dataset, run_epochs, schedule_of

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
}


def fit(
    model: Sequential,
    train: ImageDataset,
    validation: ImageDataset | None = None,
    *,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    schedule: str = "constant",
    weight_decay: float | None = None,
    seed: int = 0,
    patience: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    after_epoch: AfterEpoch | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place with cross-entropy; chapter 5 writes this loop step by step.

    Unlike the other wings' `fit` it has no augmentation, which resampling whole batches of images in
    NumPy would make slower than the training itself.

    Parameters
    ----------
    model
        Takes float32 images (N, 28, 28, 1), returns logits (N, classes).
    train, validation
        The data; validation is measured after every epoch and trains nothing.
    epochs, batch_size, learning_rate
        The last batch of an epoch may be smaller.
    optimizer
        ``"sgd"`` (plain), ``"adam"`` or ``"adamw"``, otherwise with PyTorch's defaults.
    schedule
        ``"constant"``, ``"cosine"`` (falls to zero at the last epoch) or ``"one_cycle"``.
    weight_decay
        AdamW's; ``None`` is PyTorch's default, 0.01.
    seed
        Fixes the order of the examples and dropout. The initial weights are the model's own.
    patience, checkpoint, resume, after_epoch, progress
        Early stopping, a folder to resume from, a function called after every epoch, and the bar: see
        `mnist_course.training.run_epochs`.

    Returns
    -------
    History
        One entry per epoch.

    Raises
    ------
    InputError
        Unusable settings, a checkpoint of another run, or a loss that is no longer finite.
    """
    return run_epochs(
        lambda settings: _Trainer(model, train, settings),
        train,
        validation,
        epochs=epochs,
        patience=patience,
        checkpoint=checkpoint,
        resume=resume,
        after_epoch=after_epoch,
        progress=progress,
        framework="numpy",
        model=model.name,
        optimizer=optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        batch_size=batch_size,
        seed=seed,
    )


class _Trainer:
    suffix = ".npz"

    def __init__(self, model: Sequential, train: ImageDataset, settings: dict[str, Any]) -> None:
        self.model, self.settings = model, settings
        self.images, self.labels = train.images, train.labels.astype(np.int64)
        rule = OPTIMIZERS[settings["optimizer"]]
        options = {}
        if settings["weight_decay"] is not None:
            options["weight_decay"] = settings["weight_decay"]
        self.optimizer = rule(model.parameters(), settings["learning_rate"], **options)
        self.learning_rate, self.batches = schedule_of(settings, len(train))

    def train_epoch(self, epoch: int, advance: Advance) -> tuple[float, float]:
        seed, batch_size = self.settings["seed"], self.settings["batch_size"]
        for index, layer in enumerate(self.model.layers):
            if isinstance(layer, Dropout):
                layer.generator = np.random.default_rng([seed, epoch, index])
        order = epoch_order(len(self.labels), seed=seed, epoch=epoch)
        total_loss, total_correct = 0.0, 0
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            self.optimizer.learning_rate = self.learning_rate(epoch * self.batches + start // batch_size)
            labels = self.labels[batch]
            logits = self.model.forward(_prepare(self.images[batch]), training=True)  # (B, classes)
            if not np.isfinite(logits.sum()):
                return math.nan, math.nan  # the epoch loop says what to do about it
            loss, d_logits = cross_entropy_and_gradient(logits, labels)
            self.model.backward_parameters(d_logits)
            self.optimizer.step(self.model.gradients())
            total_loss += loss * len(batch)
            total_correct += int(np.count_nonzero(logits.argmax(axis=1) == labels))
            advance(len(batch))
        return total_loss / len(order), total_correct / len(order)

    def evaluate(self, dataset: ImageDataset) -> Evaluation:
        return evaluate(self.model, dataset)

    def save(self, path: Path) -> None:
        npz.write(path, self._state())

    def load(self, path: Path) -> None:
        state = self._state()
        npz.assign(state, npz.read(path), path, self.model.name)
        prefix = "optimizer."
        self.optimizer.load_state(
            {name.removeprefix(prefix): a for name, a in state.items() if name.startswith(prefix)}
        )

    def _state(self) -> dict[str, FloatArray]:
        """Return the model's own arrays and copies of the optimizer's."""
        model, optimizer = self.model.state(), self.optimizer.state()
        return {f"model.{name}": array for name, array in model.items()} | {
            f"optimizer.{name}": array for name, array in optimizer.items()
        }


def predict_logits(
    model: Sequential, images: NDArray[np.uint8], *, batch_size: int = 500
) -> NDArray[np.float32]:
    """Run the network in evaluation mode over uint8 images (N, 28, 28); return logits (N, classes)."""
    require_bytes(images)
    starts = range(0, len(images), batch_size)
    parts = [model.forward(_prepare(images[start : start + batch_size])) for start in starts]
    return np.concatenate(parts).astype(np.float32, copy=False)


def predict_probabilities(
    model: Sequential, images: NDArray[np.uint8], *, batch_size: int = 500
) -> NDArray[np.float32]:
    """Return the softmax of `predict_logits`: (N, classes), each row sums to 1."""
    probabilities: NDArray[np.float32] = softmax(
        predict_logits(model, images, batch_size=batch_size)
    ).astype(np.float32, copy=False)
    return probabilities


def evaluate(model: Sequential, dataset: ImageDataset, *, batch_size: int = 500) -> Evaluation:
    """Evaluate the network on every image of `dataset`, in evaluation mode."""
    require_dataset(dataset)
    logits = predict_logits(model, dataset.images, batch_size=batch_size)
    return Evaluation(logits, dataset.labels, dataset.class_names)


def save_weights(model: Sequential, path: str | os.PathLike[str]) -> None:
    """Write the network's parameters and buffers as .npz: `model.save`."""
    model.save(path)


def load_weights(model: Sequential, path: str | os.PathLike[str]) -> None:
    """Read weights that `save_weights` wrote: `model.load`, with its errors."""
    model.load(path)


def _prepare(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return scale(images)[..., np.newaxis]  # (B, 28, 28) -> (B, 28, 28, 1)
