"""Fine-tuning from beginning to end, by the name of a method."""

import json
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import nn

from mnist_course.data import ImageDataset
from mnist_course.errors import InputError
from mnist_course.files import atomic_write
from mnist_course.finetuning import METHODS
from mnist_course.finetuning.freezing import trainable
from mnist_course.finetuning.phases import LEARNING_RATES, outputs, phases, prepare
from mnist_course.finetuning.prompts import match_labels
from mnist_course.finetuning.storage import (
    ADAPTER,
    WEIGHTS,
    Description,
    adapter_bytes,
    digest,
    merged,
    save_adapter,
    save_merged,
)
from mnist_course.history import SERIES, History
from mnist_course.pytorch.training import fit
from mnist_course.training import AfterEpoch, require_dataset

__all__ = ["LEARNING_RATES", "METHODS", "FineTuned", "fine_tune"]

HARMLESS = ("progress", "device", "after_epoch")
"""Options of `fit` that a resumed run may change."""

RECORD = "fine_tuning.json"
"""In the checkpoint's folder: which fine-tuning its phases belong to."""


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned network, and what it took.

    Parameters
    ----------
    model
        As it was trained, LoRA's changes and all: see `merged`.
    histories
        One per phase of the method.
    trained_parameters
        How many numbers trained.
    stored_bytes
        Size of the file that holds these alone.
    seconds
        Wall time of all epochs, those before an interruption included.
    about
        How the network was made, as the files that `save` writes say it.
    """

    model: nn.Module
    histories: tuple[History, ...]
    trained_parameters: int
    stored_bytes: int
    seconds: float
    about: Description

    def merged(self) -> nn.Module:
        """Return a copy of the network in which LoRA's changes are part of the weights."""
        return merged(self.model)

    def history(self) -> History:
        """Return the phases as one history, with the last one's settings."""
        whole = History(settings=dict(self.histories[-1].settings))
        for name in SERIES:
            setattr(whole, name, [x for history in self.histories for x in getattr(history, name)])
        return whole

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write what was trained alone, and the whole network merged; return both files.

        `mnist_course.finetuning.storage` has the functions that read them.
        """
        paths = [Path(folder) / ADAPTER, Path(folder) / WEIGHTS]
        save_adapter(self.model, self.about, paths[0])
        save_merged(self.model, self.about, paths[1])
        return paths


def fine_tune(
    model: nn.Module,
    train: ImageDataset,
    validation: ImageDataset | None = None,
    *,
    method: str,
    epochs: int,
    learning_rate: float | None = None,
    probe_learning_rate: float | None = None,
    batch_size: int = 64,
    rank: int = 4,
    new_head: bool = False,
    replay: ImageDataset | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    **options: Any,
) -> FineTuned:
    """Train a copy of `model` further, on other data.

    Parameters
    ----------
    model
        The network to begin with: float32 images (N, 1, 28, 28) in, logits out, a dense layer last. It
        stays as it is.
    train, validation
        The new data; both have the same classes.
    method
        One of `METHODS`.
    epochs
        Of all the method's phases together.
    learning_rate
        ``None`` means the method's own of `LEARNING_RATES`.
    probe_learning_rate
        Of the first phase of ``"lpft"``; ``None`` means that of ``"linear"``.
    batch_size
        The last batch of an epoch may be smaller.
    rank
        Of LoRA's changes; the width of adapters, and of a prompt's border in pixels.
    new_head
        The old outputs mean other classes than the new ones: begin with a new last layer. Where their
        numbers differ that is done anyway. A prompt chooses among the old outputs instead.
    replay
        Images of the old task, of the same classes, that are trained on with the new ones, so that it
        is not forgotten.
    seed
        Of the new weights, and of `fit`.
    checkpoint, resume
        A folder for the state after every epoch, and whether to go on from it. A resumed fine-tuning
        ends with the same numbers as one that was not interrupted.
    **options
        Of `mnist_course.pytorch.training.fit`: patience, optimizer, schedule, device, augmentation,
        progress … They hold for every phase.

    Returns
    -------
    FineTuned
        The network and what it took.

    Raises
    ------
    InputError
        What `fit` refuses, an unknown method, a rank that cannot be, data or replay of other classes,
        or the checkpoint of another fine-tuning.
    """
    data = _together(train, validation, replay)
    classes = len(train.class_names)
    labels = None
    if method == "prompt" and (new_head or classes != outputs(model)):
        labels = tuple(match_labels(model, train))
    network = prepare(
        model, method, classes=classes, new_head=new_head, rank=rank, labels=labels, seed=seed
    )
    plan = phases(
        network,
        method,
        epochs=epochs,
        learning_rate=learning_rate,
        probe_learning_rate=probe_learning_rate,
    )
    about = Description(method, rank, train.class_names, labels, digest(model))
    folder = None if checkpoint is None else Path(checkpoint)
    if folder is None and resume:
        raise InputError("resume needs the checkpoint folder to resume from")
    identity = {
        **json.loads(about.to_json()),
        "images": _digest(data),
        "new_head": new_head,
        "phases": [[phase.epochs, phase.learning_rate] for phase in plan],
        "batch_size": batch_size,
        "seed": seed,
        **{name: repr(value) for name, value in options.items() if name not in HARMLESS},
    }
    record = _Record(folder, identity, resume=resume, after_epoch=options.pop("after_epoch", None))
    histories = []
    for number, phase in enumerate(plan, 1):
        phase.arrange(network)
        factors = {} if phase.rate_factors is None else {"rate_factors": phase.rate_factors}
        history = fit(
            network,
            data,
            validation,
            epochs=phase.epochs,
            learning_rate=phase.learning_rate,
            batch_size=batch_size,
            seed=seed,
            checkpoint=None if folder is None else folder / f"phase-{number}",
            resume=record.resume,
            after_epoch=record.after_epoch,
            **{**options, **factors},
        )
        histories.append(history)
    return FineTuned(
        network,
        tuple(histories),
        trained_parameters=trainable(network),
        stored_bytes=len(adapter_bytes(network, about)),
        seconds=sum(sum(history.seconds) for history in histories),
        about=about,
    )


def _together(
    train: ImageDataset, validation: ImageDataset | None, replay: ImageDataset | None
) -> ImageDataset:
    """Return the images to train on, the old task's last."""
    others = {"validation": validation, "replay": replay}
    for name, data in [("training", train), *others.items()]:
        if data is None:
            continue
        require_dataset(data)
        if data.class_names != train.class_names:
            raise InputError(
                f"the classes do not match: those of the {name} images are"
                f" {', '.join(data.class_names)}; expected {', '.join(train.class_names)}"
            )
    return train if replay is None else train.joined(replay)


def _digest(data: ImageDataset) -> str:
    found = sha256(data.images.tobytes())
    found.update(data.labels.tobytes())
    return found.hexdigest()


class _Record:
    """Which fine-tuning a checkpoint's folder belongs to.

    `fit` compares the settings of a phase. It cannot see which network the run began with, which images
    those were, or that a later phase is left over from another run.
    """

    def __init__(
        self,
        folder: Path | None,
        identity: dict[str, Any],
        *,
        resume: bool,
        after_epoch: AfterEpoch | None,
    ) -> None:
        self.folder, self.identity, self.others = folder, identity, after_epoch
        self.resume = resume and self._is_ours()
        self.written = self.resume

    def _is_ours(self) -> bool:
        assert self.folder is not None
        path = self.folder / RECORD
        if not path.exists():
            return False
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            names = sorted({*found, *self.identity})
            differing = [name for name in names if found.get(name) != self.identity.get(name)]
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise InputError(f"{path} is damaged; start again without resuming") from None
        if differing:
            what = {"base": "the network to begin with", "images": "the training images"}
            raise InputError(
                f"{self.folder} holds another fine-tuning; these differ:"
                f" {', '.join(what.get(name, name) for name in differing)};"
                " resume with the same settings or choose another folder"
            )
        return True

    def after_epoch(self, history: History) -> None:
        """Write the record when the first epoch has been, so that refused settings leave no file."""
        if self.folder is not None and not self.written:
            for old in self.folder.glob("phase-*/checkpoint.json"):
                if old.parent.name != "phase-1":
                    old.unlink()
            with atomic_write(self.folder / RECORD) as temporary:
                temporary.write_text(json.dumps(self.identity, indent=1) + "\n", encoding="utf-8")
            self.written = True
        if self.others is not None:
            self.others(history)
