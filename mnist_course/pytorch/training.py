"""Training and evaluating a PyTorch module on an `ImageDataset`."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset
from mnist_course.data.batches import require_bytes
from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation
from mnist_course.history import History
from mnist_course.pytorch import devices, parameters, weights
from mnist_course.pytorch.execution import PLAIN, Execution, Step
from mnist_course.pytorch.loaders import TensorLoader, to_tensor
from mnist_course.pytorch.weights import load_weights, save_weights
from mnist_course.training import Advance, AfterEpoch, require_dataset, run_epochs, schedule_of

__all__ = [
    "OPTIMIZERS",
    "evaluate",
    "fit",
    "load_weights",
    "predict_logits",
    "predict_probabilities",
    "save_weights",
]

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def fit(
    model: nn.Module,
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
    label_smoothing: float = 0.0,
    ema: float | None = None,
    rate_factors: Mapping[str, float] | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    execution: Execution = PLAIN,
    patience: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    after_epoch: AfterEpoch | None = None,
    progress: bool = True,
    trainer: "type[_Trainer] | None" = None,
) -> History:
    """Train `model` in place with cross-entropy; chapter 7 writes this loop step by step.

    Parameters that ask for no gradient stay as they are, and normalisation with nothing but such
    parameters keeps its running statistics.

    Parameters
    ----------
    model
        Takes float32 images (N, 1, 28, 28), returns logits (N, classes).
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
    augmentation
        Alters every training image anew each time it is used; the validation images never.
    label_smoothing
        Share of each target that is spread evenly over all classes, from 0 to below 1. The reported
        training loss is the smoothed one.
    ema
        Decay per step, such as 0.999, of an exponential moving average of the weights and buffers.
        Validation measures the average, and the model holds it afterwards.
    rate_factors
        Name of a layer, or of several by their common beginning → factor on their learning rate; for
        the others it is 1.
    seed
        Fixes the order of the examples, dropout and augmentation. The initial weights are the model's
        own.
    device
        ``"auto"`` or a device name; the model is left there.
    execution
        Precision, memory layout, compilation: see `mnist_course.pytorch.execution`.
    patience, checkpoint, resume, after_epoch, progress
        Early stopping, a folder to resume from, a function called after every epoch, and the bar: see
        `mnist_course.training.run_epochs`.
    trainer
        What trains one epoch; `mnist_course.pytorch.distributed.fit` brings its own.

    Returns
    -------
    History
        One entry per epoch.

    Raises
    ------
    InputError
        Unusable settings, nothing that trains, a checkpoint of another run, or a loss that is no longer
        finite.
    """
    if not 0 <= label_smoothing < 1:
        raise InputError(f"label_smoothing is {label_smoothing}; expected at least 0 and below 1")
    if ema is not None and not 0 < ema < 1:
        raise InputError(f"ema is {ema}; expected a decay between 0 and 1, such as 0.999, or None")
    kind, prepared = trainer or _Trainer, []
    # named only where there are any: other runs' settings stay what they were
    partial = {"frozen": parameters.frozen(model), "rate_factors": dict(rate_factors or {})}

    def prepare(settings: dict[str, Any]) -> _Trainer:
        prepared.append(kind(model, train, settings, augmentation, execution, devices.choose(device)))
        return prepared[0]

    history = run_epochs(
        prepare,
        train,
        validation,
        epochs=epochs,
        patience=patience,
        checkpoint=checkpoint,
        resume=resume,
        after_epoch=after_epoch,
        progress=progress,
        framework="pytorch",
        model=type(model).__name__,
        optimizer=optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        augmentation=None if augmentation is None else asdict(augmentation),
        label_smoothing=label_smoothing,
        ema=ema,
        execution=asdict(execution),
        batch_size=batch_size,
        seed=seed,
        **{name: value for name, value in partial.items() if value},
    )
    prepared[0].finish()
    return history


class _Trainer:
    suffix = ".safetensors"
    shard = (0, 1)
    """Which part of each batch is trained on here: see `mnist_course.pytorch.distributed`."""

    def __init__(
        self,
        model: nn.Module,
        train: ImageDataset,
        settings: dict[str, Any],
        augmentation: Augmentation | None,
        execution: Execution,
        device: torch.device,
    ) -> None:
        execution.require(device)
        self.model = model.to(device)
        self.loader = TensorLoader(
            train,
            settings["batch_size"],
            seed=settings["seed"],
            augmentation=augmentation,
            device=device,
            shard=self.shard,
        )
        self.settings = settings
        decay = settings["weight_decay"]
        self.optimizer = execution.optimizer(
            OPTIMIZERS[settings["optimizer"]],
            model,
            settings["learning_rate"],
            rate_factors=settings.get("rate_factors"),
            **({} if decay is None else {"weight_decay": decay}),
        )
        self.learning_rate, self.batches = schedule_of(settings, len(train))
        self.step = Step(model, self.optimizer, execution, label_smoothing=settings["label_smoothing"])
        self.average: AveragedModel | None = None
        if settings["ema"] is not None:
            update = get_ema_multi_avg_fn(settings["ema"])
            self.average = AveragedModel(model, multi_avg_fn=update, use_buffers=True)

    def train_epoch(self, epoch: int, advance: Advance) -> tuple[float, float]:
        # for dropout, each shard its own; [seed, epoch, 1] is for augmentation
        entropy = [self.settings["seed"], epoch, 2 * self.shard[0]]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        self.loader.set_epoch(epoch)
        self.step.reset()
        parameters.train_mode(self.model)
        examples = len(self.loader.dataset)
        for index, (images, labels) in enumerate(self.loader):
            self.step(images, labels, self.learning_rate(epoch * self.batches + index))
            if self.average is not None:
                self.average.update_parameters(self.model)
            advance(min(self.loader.batch_size, examples - index * self.loader.batch_size))
        return self.step.total_loss.item() / examples, self.step.total_correct.item() / examples

    def evaluate(self, dataset: ImageDataset) -> Evaluation:
        return evaluate(self.model if self.average is None else self.average.module, dataset)

    def finish(self) -> None:
        if self.average is not None:
            self.model.load_state_dict(self.average.module.state_dict())

    def save(self, path: Path) -> None:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if value is not None:  # plain SGD keeps an empty momentum buffer
                    tensors[f"optimizer.{index}.{name}"] = value
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for name, number in self.step.scaler.state_dict().items():  # empty unless it scales
            tensors[f"scaler.{name}"] = torch.tensor(number)
        path.write_bytes(weights.as_file(tensors))

    def load(self, path: Path) -> None:
        parts: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in weights.read(path)[0].items():
            part, name = key.split(".", 1)
            parts.setdefault(part, {})[name] = value
        weights.put(self.model, parts.get("model", {}), path)
        if self.average is not None:
            weights.put(self.average, parts.get("average", {}), path)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in parts.get("optimizer", {}).items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        if "scaler" in parts:
            self.step.scaler.load_state_dict({k: v.item() for k, v in parts["scaler"].items()})


def predict_logits(
    model: nn.Module, images: NDArray[np.uint8], *, batch_size: int = 500
) -> NDArray[np.float32]:
    """Run the network in evaluation mode over uint8 images (N, 28, 28); return logits (N, classes).

    The model's training mode is restored afterwards.
    """
    require_bytes(images)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        parts = [model(part.to(device)).float().cpu() for part in to_tensor(images).split(batch_size)]
    model.train(was_training)
    return torch.cat(parts).numpy()


def predict_probabilities(
    model: nn.Module, images: NDArray[np.uint8], *, batch_size: int = 500
) -> NDArray[np.float32]:
    """Return the softmax of `predict_logits`: (N, classes), each row sums to 1."""
    logits = torch.from_numpy(predict_logits(model, images, batch_size=batch_size))
    return logits.softmax(dim=1).numpy()


def evaluate(model: nn.Module, dataset: ImageDataset, *, batch_size: int = 500) -> Evaluation:
    """Evaluate the network on every image of `dataset`, in evaluation mode, where the model is."""
    require_dataset(dataset)
    logits = predict_logits(model, dataset.images, batch_size=batch_size)
    return Evaluation(logits, dataset.labels, dataset.class_names)
