"""What a training run leaves behind: one number per epoch and quantity."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.files import atomic_write

SERIES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds")


@dataclass
class History:
    """The course of a training run; entry e of every list belongs to epoch e + 1.

    Parameters
    ----------
    train_loss, train_accuracy
        Means over the examples of the epoch, taken while the weights were changing (as Keras does), so
        the first epochs look worse than the network is at their end.
    validation_loss, validation_accuracy
        Measured after the epoch; empty when no validation data were given.
    seconds
        Wall time of the epoch, validation included.
    settings
        What the run was asked to do: model, optimizer, learning rate, batch size, seed …
    best_epoch
        With early stopping: the epoch (counted from 1) whose weights the model holds now.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    best_epoch: int | None = None

    def __len__(self) -> int:
        return len(self.train_loss)

    def to_json(self) -> str:
        """Return the history as a JSON object with one key per field."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "History":
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            Not JSON, not a history, or lists of different lengths.
        """
        try:
            fields = json.loads(text)
            history = cls(**fields)
            lengths = {len(getattr(history, name)) for name in SERIES} - {0}
            numbers = [float(x) for name in SERIES for x in getattr(history, name)]
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"not a training history: {error}") from None
        if len(lengths) > 1 or len(numbers) > 1_000_000 or not isinstance(history.settings, dict):
            raise InputError("not a training history: its lists have different lengths")
        return history

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the history as JSON."""
        with atomic_write(path) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "History":
        """Read a file that `save` wrote."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path} does not exist; expected a training history") from None
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
