"""Parameters by the names of their modules: which of them train, and how fast."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mnist_course.errors import InputError


def layers(model: nn.Module) -> list[str]:
    """Return the names of the modules that own parameters themselves, as they were registered.

    For the course's networks that is from input to output.

    >>> layers(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))
    ['0', '2']
    """
    return [name for name, module in model.named_modules() if [*module.parameters(recurse=False)]]


def below(model: nn.Module, name: str) -> list[str]:
    """Return the parameters that `name` stands for: its own, or all those of the module it names.

    Parameters
    ----------
    model
        Any module.
    name
        A parameter's or a module's dotted name: ``"fc1"`` is not the beginning of ``"fc10.weight"``.

    Raises
    ------
    InputError
        Nothing of that name has a parameter.
    """
    found = [each for each, _ in model.named_parameters() if f"{each}.".startswith(f"{name}.")]
    if not found:
        raise InputError(
            f"{type(model).__name__} has no parameters under the name {name!r};"
            f" its layers are {', '.join(layers(model))}"
        )
    return found


def frozen(model: nn.Module) -> list[str]:
    """Return the names of the parameters that ask for no gradient."""
    return [name for name, value in model.named_parameters() if not value.requires_grad]


def train_mode(model: nn.Module) -> None:
    """Switch to training mode, all but normalisation whose parameters are frozen.

    Batch normalisation in training mode moves its running statistics, whether it learns or not.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, _NormBase) and (own := [*module.parameters(recurse=False)]):
            module.train(any(value.requires_grad for value in own))


def groups(model: nn.Module, rate_factors: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Return an optimizer's parameter groups: what trains, by its factor on the learning rate.

    Parameters
    ----------
    model
        Its frozen parameters are left out.
    rate_factors
        Name of a module or parameter → factor. Of two names for the same parameter the longer counts;
        a parameter without a name has factor 1.

    Returns
    -------
    list of dict
        Groups with ``params`` and ``factor``, in the order in which their first parameter stands.

    Raises
    ------
    InputError
        Nothing trains, an unknown name, or a factor that is not positive.
    """
    factors: dict[str, float] = {}
    for name, factor in sorted((rate_factors or {}).items(), key=lambda item: len(item[0])):
        if not (factor > 0 and math.isfinite(factor)):
            raise InputError(
                f"the learning rate's factor for {name!r} is {factor}; expected a positive number,"
                " or freeze the layer"
            )
        factors |= dict.fromkeys(below(model, name), float(factor))
    found: dict[float, list[torch.Tensor]] = {}
    for name, value in model.named_parameters():
        if value.requires_grad:
            found.setdefault(factors.get(name, 1.0), []).append(value)
    if not found:
        raise InputError(
            f"every parameter of {type(model).__name__} is frozen; unfreeze what shall train"
        )
    return [{"params": values, "factor": factor} for factor, values in found.items()]
