"""Training and evaluating a PyTorch module on an `ImageDataset`."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn
from torch.nn import functional as F

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset
from mnist_course.data.batches import require_bytes
from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation
from mnist_course.files import atomic_write
from mnist_course.history import History
from mnist_course.pytorch import devices
from mnist_course.pytorch.loaders import TensorLoader, to_tensor
from mnist_course.training import Advance, AfterEpoch, require_dataset, run_epochs, schedule_of

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
    seed: int = 0,
    device: str | torch.device = "auto",
    patience: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    after_epoch: AfterEpoch | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place with cross-entropy; chapter 7 writes this loop step by step.

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
    seed
        Fixes the order of the examples, dropout and augmentation. The initial weights are the model's
        own.
    device
        ``"auto"`` or a device name; the model is left there.
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
        lambda settings: _Trainer(model, train, settings, augmentation, devices.choose(device)),
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
        batch_size=batch_size,
        seed=seed,
    )


class _Trainer:
    suffix = ".safetensors"

    def __init__(
        self,
        model: nn.Module,
        train: ImageDataset,
        settings: dict[str, Any],
        augmentation: Augmentation | None,
        device: torch.device,
    ) -> None:
        self.model = model.to(device)
        self.loader = TensorLoader(
            train,
            settings["batch_size"],
            seed=settings["seed"],
            augmentation=augmentation,
            device=device,
        )
        self.settings = settings
        rule = OPTIMIZERS[settings["optimizer"]]
        options = {"lr": settings["learning_rate"]}
        if settings["weight_decay"] is not None:
            options["weight_decay"] = settings["weight_decay"]
        self.optimizer = rule(model.parameters(), **options)
        self.learning_rate, self.batches = schedule_of(settings, len(train))

    def train_epoch(self, epoch: int, advance: Advance) -> tuple[float, float]:
        seed = np.random.SeedSequence([self.settings["seed"], epoch]).generate_state(1)[0]
        torch.manual_seed(int(seed))  # dropout
        self.loader.set_epoch(epoch)
        # summed on the device: reading a number after each batch would stall a GPU
        total_loss = torch.zeros((), device=self.loader.device)
        total_correct = torch.zeros((), device=self.loader.device)
        self.model.train()
        for index, (images, labels) in enumerate(self.loader):
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate(epoch * self.batches + index)
            logits = self.model(images)  # (B, classes)
            loss = F.cross_entropy(logits, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total_loss += loss.detach() * len(labels)
            total_correct += (logits.detach().argmax(1) == labels).sum()
            advance(len(labels))
        examples = len(self.loader.dataset)
        return total_loss.item() / examples, total_correct.item() / examples

    def evaluate(self, dataset: ImageDataset) -> Evaluation:
        return evaluate(self.model, dataset)

    def save(self, path: Path) -> None:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if value is not None:  # plain SGD keeps an empty momentum buffer
                    tensors[f"optimizer.{index}.{name}"] = value
        _save_tensors(tensors, path)

    def load(self, path: Path) -> None:
        tensors = _load_tensors(path)
        model = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        _set_weights(self.model, model, path)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".", 2)
                state.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


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


def save_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write the network's parameters and buffers as safetensors."""
    with atomic_write(path) as temporary:
        _save_tensors(model.state_dict(), temporary)


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Read weights that `save_weights` wrote into a network of the same architecture.

    Raises
    ------
    InputError
        Not a safetensors file, or the weights of another architecture.
    """
    _set_weights(model, _load_tensors(Path(path)), Path(path))


def _save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    # written by Python and not by safetensors, so that a full disk is an OSError as everywhere
    path.write_bytes(to_bytes({name: value.contiguous() for name, value in tensors.items()}))


def _load_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected safetensors weights") from None
    except SafetensorError as error:
        raise InputError(f"{path} is no safetensors file: {error}; train it again") from None


def _set_weights(model: nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if found != expected:
        name = next(n for n in [*expected, *found] if found.get(n) != expected.get(n))
        raise InputError(
            f"{path} does not fit {type(model).__name__}: {name} has shape"
            f" {found.get(name, 'none')}, expected {expected.get(name, 'none')}"
        )
    model.load_state_dict(weights)
