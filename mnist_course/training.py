"""The loop over epochs that the three wings share.

A wing knows how to train one epoch and how to write its weights. Everything around it is the same in
NumPy, Keras and PyTorch and lives here: history, progress, early stopping, checkpoints, resuming.
"""

import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from mnist_course.data import ImageDataset
from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation
from mnist_course.files import atomic_write
from mnist_course.history import History
from mnist_course.schedules import SCHEDULES, Schedule, by_name

OPTIMIZERS = ("sgd", "adam", "adamw")
"""The optimizers that every wing knows by name."""

Advance = Callable[[int], object]
"""Called after each batch with the number of examples in it."""

AfterEpoch = Callable[[History], object]
"""Called with the history so far after each epoch; what it raises ends the run."""


class Trainer(Protocol):
    """What a wing supplies for one run."""

    suffix: str
    """Ending of its weight files, for example ``".safetensors"``."""

    def train_epoch(self, epoch: int, advance: Advance) -> tuple[float, float]:
        """Train epoch number `epoch` (from 0); return the mean loss and the accuracy.

        All randomness must come from the run's seed and `epoch` alone: that is what makes a resumed
        run equal to an uninterrupted one.
        """
        ...

    def evaluate(self, dataset: ImageDataset) -> Evaluation:
        """Evaluate the model as it is now."""
        ...

    def save(self, path: Path) -> None:
        """Write weights and optimizer state."""
        ...

    def load(self, path: Path) -> None:
        """Read what `save` wrote."""
        ...


def schedule_of(settings: dict[str, Any], examples: int) -> tuple[Schedule, int]:
    """Return the learning rate as a function of the batches trained, and the batches per epoch."""
    batches = math.ceil(examples / settings["batch_size"])
    steps = batches * settings.get("epochs", 1)
    return by_name(settings["schedule"], settings["learning_rate"], steps), batches


def run_epochs(
    prepare: Callable[[dict[str, Any]], Trainer],
    train: ImageDataset,
    validation: ImageDataset | None,
    *,
    epochs: int,
    patience: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    after_epoch: AfterEpoch | None = None,
    progress: bool = True,
    **settings: Any,
) -> History:
    """Train for `epochs` epochs, or fewer with early stopping.

    Parameters
    ----------
    prepare
        Takes the settings and returns the wing's side; called once, after they have been found usable.
    train, validation
        The data. The validation data are only looked at, after each epoch.
    epochs
        Number of epochs in all, those of a resumed run included.
    patience
        Stop when the validation loss has not improved for this many epochs, and go back to the weights
        of the best one. ``None`` trains to the end and keeps the last weights.
    checkpoint
        Folder for the state after every epoch. A run that is killed loses the epoch in progress only.
    resume
        Continue from the checkpoint if there is one.
    after_epoch
        Called with the history after every epoch and its checkpoint; what it raises ends the run, which
        is how a search stops a trial that does not look promising (chapter 10).
    progress
        Show a bar on stderr (the environment variable ``TQDM_DISABLE=1`` turns all of them off).
    **settings
        What defines the run: framework, model, optimizer, learning_rate, schedule, batch_size and seed,
        and what a wing adds. They are kept in the history, with the number of training images, and of
        epochs if the schedule needs it; a checkpoint resumes only under equal settings.

    Raises
    ------
    InputError
        Data of another kind, unusable numbers, patience without validation data, or a checkpoint of
        another run.
    """
    _check(train, validation, epochs, settings, patience, checkpoint, resume)
    settings["train_images"] = len(train)
    if settings["schedule"] != "constant":
        settings["epochs"] = epochs  # which such a run cannot change later
    trainer = prepare(settings)
    with tempfile.TemporaryDirectory() as temporary:
        state = _State(Path(checkpoint or temporary), trainer, settings, keep=checkpoint is not None)
        history = (state.resume() if resume else None) or History(settings=settings)
        with _bar(progress, epochs * len(train), len(history) * len(train)) as bar:
            for epoch in range(len(history), epochs):
                if _exhausted(history, patience):
                    break
                bar.set_description(f"epoch {epoch + 1}/{epochs}")
                start = time.perf_counter()
                loss, accuracy = trainer.train_epoch(epoch, bar.update)
                if not math.isfinite(loss):
                    raise InputError(
                        f"the loss became {loss} in epoch {epoch + 1}; lower the learning rate"
                        f" (it is {settings['learning_rate']}) or check the data for NaN"
                    )
                history.train_loss.append(loss)
                history.train_accuracy.append(accuracy)
                if validation is not None:
                    result = trainer.evaluate(validation)
                    history.validation_loss.append(result.loss)
                    history.validation_accuracy.append(result.accuracy)
                    bar.set_postfix_str(f"validation accuracy {result.accuracy:.4f}")
                history.seconds.append(time.perf_counter() - start)
                state.save(history, best=patience is not None)
                if after_epoch is not None:
                    after_epoch(history)
        if patience is not None:
            history.best_epoch = _best(history)
            trainer.load(state.weights(history.best_epoch))
    return history


def require_dataset(data: object) -> None:
    """Refuse what is no `ImageDataset`, which checks its images and labels itself."""
    if not isinstance(data, ImageDataset):
        raise InputError(
            f"the data are a {type(data).__name__}, expected an ImageDataset:"
            " ImageDataset(images, labels), of uint8 images (N, 28, 28) and integer labels (N,)"
        )


def _check(
    train: ImageDataset,
    validation: ImageDataset | None,
    epochs: int,
    settings: dict[str, Any],
    patience: int | None,
    checkpoint: object,
    resume: bool,
) -> None:
    """Refuse a run that cannot work before it has cost anything."""
    for data in (train, *(() if validation is None else (validation,))):
        require_dataset(data)
    if not len(train):
        raise InputError("the training data are empty; expected at least one image")
    if validation is not None and not len(validation):
        raise InputError("the validation data are empty; pass None to train without them")
    whole = (("epochs", epochs), ("batch_size", settings["batch_size"]), ("patience", patience))
    for name, value in whole:
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; expected at least 1")
    rate = settings["learning_rate"]
    if not (rate > 0 and math.isfinite(rate)):
        raise InputError(f"learning_rate is {rate}; expected a positive number, for example 0.001")
    if settings["optimizer"] not in OPTIMIZERS:
        raise InputError(
            f"unknown optimizer {settings['optimizer']!r}; choose one of {', '.join(OPTIMIZERS)}"
        )
    if settings["schedule"] not in SCHEDULES:
        raise InputError(
            f"unknown schedule {settings['schedule']!r}; choose one of {', '.join(SCHEDULES)}"
        )
    decay = settings.get("weight_decay")
    if decay is not None and not (decay >= 0 and math.isfinite(decay)):
        raise InputError(f"weight_decay is {decay}; expected 0 or more, for example 0.01")
    if decay is not None and settings["optimizer"] != "adamw":
        raise InputError(
            f"weight_decay came with the optimizer {settings['optimizer']!r}; it is for 'adamw'"
        )
    if patience is not None and validation is None:
        raise InputError("early stopping needs validation data; split some off the training data")
    if resume and checkpoint is None:
        raise InputError("resume needs the checkpoint folder to resume from")


def _best(history: History) -> int:
    """Return the epoch (from 1) with the lowest validation loss, the first of equals."""
    return 1 + min(range(len(history)), key=history.validation_loss.__getitem__)


def _exhausted(history: History, patience: int | None) -> bool:
    return patience is not None and len(history) > 0 and len(history) - _best(history) >= patience


def _bar(progress: bool, total: int, done: int) -> Any:
    from tqdm import tqdm

    quiet = {} if progress else {"disable": True}  # passing False would override TQDM_DISABLE
    return tqdm(total=total, initial=done, unit="img", unit_scale=True, mininterval=0.5, **quiet)


class _State:
    """The files of a run: weights per epoch, and one JSON file that says which of them count.

    Weights are written first and `checkpoint.json` last, by an atomic rename: at any moment the JSON
    file describes a complete earlier state.
    """

    def __init__(self, folder: Path, trainer: Trainer, settings: dict[str, Any], keep: bool):
        self.folder, self.trainer, self.settings, self.keep = folder, trainer, settings, keep
        for path in folder.glob(f".epoch-*{trainer.suffix}"):
            path.unlink()  # half-written by a run that was killed

    def weights(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}{self.trainer.suffix}"

    def save(self, history: History, *, best: bool) -> None:
        epoch = len(history)
        wanted = {epoch} if self.keep else set()
        if best:
            wanted.add(_best(history))
        if epoch in wanted:
            with atomic_write(self.weights(epoch)) as temporary:
                self.trainer.save(temporary)
        if self.keep:
            history.save(self.folder / "checkpoint.json")
        for path in self.folder.glob(f"epoch-*{self.trainer.suffix}"):
            if path not in {self.weights(number) for number in wanted}:
                path.unlink()

    def resume(self) -> History | None:
        path = self.folder / "checkpoint.json"
        if not path.exists():
            return None
        history = History.load(path)
        ours = json.loads(json.dumps(self.settings))
        differing = [
            f"{key} was {history.settings.get(key)!r} and is {ours.get(key)!r}"
            for key in sorted({*ours, *history.settings})
            if ours.get(key) != history.settings.get(key)
        ]
        if differing:
            raise InputError(
                f"{self.folder} holds another run ({'; '.join(differing)});"
                " resume with the same settings or choose another folder"
            )
        weights = self.weights(len(history))
        if not weights.exists():
            raise InputError(f"{weights} is missing; start again without resuming")
        self.trainer.load(weights)
        return history
