"""Putting something that trains beside layers that stay as they are.

LoRA, adapters and prompts all freeze a network and add to it. What is added wraps what it is added to,
and keeps it, frozen, under the name ``base``.
"""

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import nn

from mnist_course.errors import InputError
from mnist_course.finetuning.freezing import freeze, head, unfreeze

Layer = nn.Conv2d | nn.Linear
"""What can be extended."""


class Extended(nn.Module):
    """A layer or a network with something added to it.

    Parameters
    ----------
    base
        What stays as it is; it is frozen here.
    """

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)


def extended(model: nn.Module) -> dict[str, Extended]:
    """Return what has been added to the network, by name."""
    return {name: part for name, part in model.named_modules() if isinstance(part, Extended)}


def require_plain(model: nn.Module) -> None:
    """Refuse a network that something has been added to.

    Raises
    ------
    InputError
        There is a LoRA layer, an adapter or a prompt in it.
    """
    for name, part in extended(model).items():
        raise InputError(
            f"{name or 'the network'} is a {type(part).__name__} already; start from the plain network"
            " (merge_lora makes one of a network with LoRA)"
        )


def require_whole(name: str, value: Any, *, highest: int | None = None) -> None:
    """Refuse a size that is no whole number from 1, or one above the highest.

    Raises
    ------
    InputError
        The message calls it `name`.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < 1 or (highest is not None and value > highest):
        wanted = "of at least 1, for example 4" if highest is None else f"from 1 to {highest}"
        raise InputError(f"{name} is {value!r}; expected a whole number {wanted}")


def extendable(model: nn.Module, names: Sequence[str] | None = None) -> dict[str, Layer]:
    """Return the convolutions and dense layers of these names; ``None`` means all but the head.

    Raises
    ------
    InputError
        The network is extended already, has no head, or one of the names is no such layer.
    """
    require_plain(model)
    found = {name: part for name, part in model.named_modules() if name and isinstance(part, Layer)}
    last = head(model)
    names = [name for name in found if name != last] if names is None else names
    for name in names:
        if name not in found:
            raise InputError(
                f"{name!r} is no convolution or dense layer; choose from {', '.join(found)}"
            )
    if not names:
        raise InputError(f"no layer is left to extend; choose from {', '.join(found)}")
    return {name: found[name] for name in names}


def extend(
    model: nn.Module, chosen: Mapping[str, Layer], add: Callable[[Layer], Extended], *, seed: int
) -> None:
    """Freeze the network, all but its head, and put what `add` makes in the place of layers.

    Parameters
    ----------
    model
        Changed in place.
    chosen
        From `extendable`. A head that is among them is frozen like the others.
    add
        Makes an extended layer of a plain one.
    seed
        What `add` draws depends on it alone; the global random state of PyTorch is left as it was.
    """
    last = head(model)
    freeze(model)
    if last not in chosen:
        unfreeze(model, last)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, layer in chosen.items():
            replace(model, name, add(layer))


def replace(model: nn.Module, name: str, part: nn.Module) -> None:
    """Put `part` in the place of the module of that name."""
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, part)
