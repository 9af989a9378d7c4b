"""A network's numbers in safetensors files, which hold numbers and names and nothing that is run."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from mnist_course.errors import InputError
from mnist_course.files import atomic_write


def save_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write the network's parameters and buffers as safetensors."""
    with atomic_write(path) as temporary:
        # written by Python and not by safetensors, so that a full disk is an OSError as everywhere
        temporary.write_bytes(as_file(model.state_dict()))


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Read weights that `save_weights` wrote into a network of the same architecture.

    Raises
    ------
    InputError
        Not a safetensors file, or the weights of another architecture.
    """
    weights, _ = read(Path(path))
    put(model, weights, Path(path))


def as_file(tensors: Mapping[str, torch.Tensor], header: dict[str, str] | None = None) -> bytes:
    """Return the bytes of a safetensors file with these tensors, and texts in its header."""
    whole = {name: value.detach().contiguous() for name, value in tensors.items()}
    return bytes(to_bytes(whole, metadata=header))


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return a file's tensors, and the texts in its header.

    Raises
    ------
    InputError
        No file, or no safetensors file.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected safetensors weights")
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path} is no safetensors file: {error}; train it again") from None


def put(
    model: nn.Module,
    weights: Mapping[str, torch.Tensor],
    path: Path,
    *,
    expected: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Copy a file's tensors into the network.

    Parameters
    ----------
    model
        Changed in place, or not at all when something is wrong.
    weights, path
        From `read`, and the file's name for the message.
    expected
        The part of the model's state that the file should hold; ``None`` is all of it.

    Raises
    ------
    InputError
        Other names or shapes.
    """
    wanted = model.state_dict() if expected is None else expected
    shapes, found = (
        {name: tuple(value.shape) for name, value in tensors.items()} for tensors in (wanted, weights)
    )
    if found != shapes:
        name = next(n for n in [*shapes, *found] if found.get(n) != shapes.get(n))
        raise InputError(
            f"{path} does not fit {type(model).__name__}: {name} has shape"
            f" {found.get(name, 'none')}, expected {shapes.get(name, 'none')}"
        )
    model.load_state_dict(weights, strict=expected is None)
