"""What fine-tuning leaves on disk: what it trained alone, and the whole network.

Both are safetensors files, which hold numbers and names and nothing that is run. Their header says how
the network was made: the method, its rank, the classes.
"""

import copy
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from mnist_course.errors import InputError
from mnist_course.files import atomic_write
from mnist_course.finetuning import METHODS
from mnist_course.finetuning.extending import extended
from mnist_course.finetuning.freezing import trained_state
from mnist_course.finetuning.lora import LoRAConv2d, LoRALinear, merge_lora
from mnist_course.finetuning.phases import prepare
from mnist_course.pytorch.weights import as_file, put, read

ADAPTER = "adapter.safetensors"
WEIGHTS = "weights.safetensors"
KEY = "mnist_course.finetuning"
"""Of the description in a file's header."""

MOST_CLASSES = 256


@dataclass(frozen=True)
class Description:
    """How a fine-tuned network is made of the one it came from.

    Parameters
    ----------
    method
        One of `mnist_course.finetuning.METHODS`.
    rank
        Of LoRA; the width of adapters or of a prompt's border; the other methods don't use it.
    class_names
        Of the network's outputs.
    labels
        For a prompt: which of the old outputs means each class.
    base
        The digest of the network that it came from.
    """

    method: str
    rank: int
    class_names: tuple[str, ...]
    labels: tuple[int, ...] | None = None
    base: str = ""

    def __post_init__(self) -> None:
        names, labels = self.class_names, self.labels
        usable = (
            self.method in METHODS
            and isinstance(self.rank, int)
            and 1 <= self.rank <= 100_000
            and isinstance(names, tuple)
            and 2 <= len(names) <= MOST_CLASSES
            and all(isinstance(name, str) and name.isprintable() for name in names)
            and isinstance(self.base, str)
            and (
                labels is None
                or (len(labels) == len(names) and all(isinstance(label, int) for label in labels))
            )
        )
        if not usable:
            raise InputError(
                "the description of a fine-tuned network is not one that this course writes"
            )

    def to_json(self) -> str:
        """Return the description as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Description":
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            Anything else.
        """
        try:
            fields = json.loads(text)
            fields["class_names"] = tuple(fields["class_names"])
            fields["labels"] = None if fields["labels"] is None else tuple(fields["labels"])
            return cls(**fields)
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"not the description of a fine-tuned network: {error!r}") from None

    def prepare(self, model: nn.Module) -> nn.Module:
        """Return the network as it was before its training, of a copy of `model`."""
        classes = len(self.class_names)
        return prepare(model, self.method, classes=classes, rank=self.rank, labels=self.labels)


def digest(model: nn.Module) -> str:
    """Return the SHA-256 of the network's parameters and buffers with their names."""
    found = hashlib.sha256()
    for name, value in model.state_dict().items():
        array = value.detach().cpu().contiguous().numpy()
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(array)
    return found.hexdigest()


def merged(model: nn.Module) -> nn.Module:
    """Return a copy of the network in which LoRA's changes are part of the weights.

    Adapters and prompts can't be merged and stay beside them.
    """
    network = copy.deepcopy(model)
    if any(isinstance(part, LoRALinear | LoRAConv2d) for part in extended(network).values()):
        merge_lora(network)
    return network


def adapter_bytes(model: nn.Module, about: Description) -> bytes:
    """Return the file of what was trained alone."""
    return _as_file(trained_state(model), about)


def save_adapter(model: nn.Module, about: Description, path: str | os.PathLike[str]) -> None:
    """Write what was trained alone; `load_adapter` puts it onto the network it came from."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(adapter_bytes(model, about))


def load_adapter(model: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """Return the fine-tuned network, of a copy of the one it came from and what was trained.

    Parameters
    ----------
    model
        The network that fine-tuning began with.
    path
        The file that `save_adapter` wrote.

    Raises
    ------
    InputError
        Not such a file, or that of another network.
    """
    path = Path(path)
    state, about = _read(path)
    if about is None:
        raise InputError(f"{path} holds weights and no adapter; name the {ADAPTER} of a fine-tuning")
    if about.base != digest(model):
        raise InputError(
            f"{path} was trained on a {type(model).__name__} with other weights, or another network;"
            " name the one that fine-tuning began with"
        )
    network = about.prepare(model)
    put(network, state, path, expected=trained_state(network))
    return network


def save_merged(model: nn.Module, about: Description, path: str | os.PathLike[str]) -> None:
    """Write the whole network, merged; `load_merged` needs nothing else but its architecture."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(_as_file(merged(model).state_dict(), about))


def load_merged(model: nn.Module, path: str | os.PathLike[str]) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the fine-tuned network and the names of its classes.

    Parameters
    ----------
    model
        A network of the architecture that fine-tuning began with; its weights don't matter.
    path
        The file that `save_merged` wrote.

    Raises
    ------
    InputError
        Not such a file, or one of another architecture.
    """
    path = Path(path)
    state, about = _read(path)
    if about is None:
        raise InputError(f"{path} does not say how it was fine-tuned; name a folder that finetune wrote")
    network = merged(about.prepare(model))
    put(network, state, path)
    return network, about.class_names


def _as_file(state: dict[str, torch.Tensor], about: Description) -> bytes:
    return as_file(state, {KEY: about.to_json()})


def _read(path: Path) -> tuple[dict[str, torch.Tensor], Description | None]:
    state, header = read(path)
    try:
        return state, Description.from_json(header[KEY]) if KEY in header else None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
