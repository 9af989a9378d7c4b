"""Training and evaluating a Keras model on an `ImageDataset`."""

import os
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset, epoch_order, scale
from mnist_course.data.batches import require_bytes
from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation
from mnist_course.files import atomic_write
from mnist_course.history import History
from mnist_course.keras.augmentation import augment, epoch_seed
from mnist_course.training import Advance, AfterEpoch, require_dataset, run_epochs, schedule_of

OPTIMIZERS: dict[str, type[keras.optimizers.Optimizer]] = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
}


def fit(
    model: keras.Model,
    train: ImageDataset,
    validation: ImageDataset | None = None,
    *,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    schedule: str = "constant",
    weight_decay: float | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    patience: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    after_epoch: AfterEpoch | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place with cross-entropy, by `keras.Model.fit`, one call per epoch.

    Parameters
    ----------
    model
        Takes float32 images (N, 28, 28, 1), returns logits (N, classes).
    train, validation
        The data; validation is measured after every epoch and trains nothing.
    epochs, batch_size, learning_rate
        The last batch of an epoch may be smaller.
    optimizer
        ``"sgd"`` (plain), ``"adam"`` or ``"adamw"``, otherwise with Keras's defaults.
    schedule
        ``"constant"``, ``"cosine"`` (falls to zero at the last epoch) or ``"one_cycle"``.
    weight_decay
        AdamW's; ``None`` is Keras's default, 0.004.
    augmentation
        Alters every training image anew in each epoch; the validation images never.
    seed
        Fixes the order of the examples and augmentation. The initial weights, and dropout, are the
        model's own.
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
        lambda settings: _Trainer(model, train, settings, augmentation),
        train,
        validation,
        epochs=epochs,
        patience=patience,
        checkpoint=checkpoint,
        resume=resume,
        after_epoch=after_epoch,
        progress=progress,
        framework="keras",
        model=model.name,
        optimizer=optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        augmentation=None if augmentation is None else asdict(augmentation),
        batch_size=batch_size,
        seed=seed,
    )


class _Trainer:
    suffix = ".keras"

    def __init__(
        self,
        model: keras.Model,
        train: ImageDataset,
        settings: dict[str, Any],
        augmentation: Augmentation | None,
    ) -> None:
        _require_channels_last(model)
        self.model, self.settings, self.augmentation = model, settings, augmentation
        self.images = _add_channel(train.images)  # (N, 28, 28, 1)
        self.labels = train.labels.astype(np.int32)  # (N,)
        rule = OPTIMIZERS[settings["optimizer"]]
        options = {"learning_rate": settings["learning_rate"]}
        if settings["weight_decay"] is not None:
            options["weight_decay"] = settings["weight_decay"]
        model.compile(
            optimizer=rule(**options),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        self.learning_rate, self.batches = schedule_of(settings, len(train))
        model.optimizer.build(model.trainable_variables)  # so that `load` has somewhere to put its state

    def train_epoch(self, epoch: int, advance: Advance) -> tuple[float, float]:
        seed, batch_size = self.settings["seed"], self.settings["batch_size"]
        order = epoch_order(len(self.labels), seed=seed, epoch=epoch)
        images = self.images[order]
        if self.augmentation is not None:
            images = augment(images, self.augmentation, seed=epoch_seed(seed, epoch))
        result = self.model.fit(
            images,
            self.labels[order],
            batch_size=batch_size,
            shuffle=False,  # the order above is the same in all three wings
            verbose=0,
            callbacks=[_Batches(self, epoch, advance)],
        )
        return result.history["loss"][0], result.history["accuracy"][0]

    def evaluate(self, dataset: ImageDataset) -> Evaluation:
        return evaluate(self.model, dataset)

    def save(self, path: Path) -> None:
        self.model.save(path)

    def load(self, path: Path) -> None:
        _load(self.model, path)


class _Batches(keras.callbacks.Callback):
    """Sets the learning rate before each of Keras's batches and reports progress after it."""

    def __init__(self, trainer: _Trainer, epoch: int, advance: Advance) -> None:
        super().__init__()
        self.trainer, self.epoch, self.advance = trainer, epoch, advance

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        step = self.epoch * self.trainer.batches + batch
        self.model.optimizer.learning_rate = self.trainer.learning_rate(step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        batch_size = self.trainer.settings["batch_size"]
        self.advance(min(batch_size, len(self.trainer.labels) - batch * batch_size))


def predict_logits(
    model: keras.Model, images: NDArray[np.uint8], *, batch_size: int = 500
) -> NDArray[np.float32]:
    """Run the network over uint8 images (N, 28, 28); return logits (N, classes)."""
    _require_channels_last(model)
    require_bytes(images)
    return np.asarray(model.predict(_add_channel(images), batch_size=batch_size, verbose=0))


def predict_probabilities(
    model: keras.Model, images: NDArray[np.uint8], *, batch_size: int = 500
) -> NDArray[np.float32]:
    """Return the softmax of `predict_logits`: (N, classes), each row sums to 1."""
    logits = predict_logits(model, images, batch_size=batch_size)
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.softmax(logits)))


def evaluate(model: keras.Model, dataset: ImageDataset, *, batch_size: int = 500) -> Evaluation:
    """Evaluate the network on every image of `dataset`."""
    require_dataset(dataset)
    logits = predict_logits(model, dataset.images, batch_size=batch_size)
    return Evaluation(logits, dataset.labels, dataset.class_names)


def save_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Write the model as a ``.keras`` file."""
    with atomic_write(path) as temporary:
        model.save(temporary)


def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Read the weights of a ``.keras`` file into a network of the same architecture.

    Only numbers are taken from the file; no layer or function that it describes is built or run.

    Raises
    ------
    InputError
        Not a ``.keras`` file, or the weights of another architecture.
    """
    _load(model, Path(path))


def _load(model: keras.Model, path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a .keras file")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no .keras file; train it again")
    try:
        model.load_weights(path)
    except Exception as error:  # Keras, h5py and zipfile each have their own
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path} does not fit the model {model.name}: {reason}") from error


def _require_channels_last(model: keras.Model) -> None:
    shape = getattr(model, "input_shape", (None, 28, 28, 1))  # a subclassed model may not know yet
    if tuple(shape[1:]) != (28, 28, 1):
        raise InputError(
            f"{model.name} takes images of shape {tuple(shape[1:])}, expected (28, 28, 1);"
            " build it with keras.Input((28, 28, 1)) and channels last"
        )


def _add_channel(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return scale(images)[..., np.newaxis]  # (N, 28, 28) -> (N, 28, 28, 1)
