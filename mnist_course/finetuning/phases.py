"""The methods of fine-tuning as sequences of phases: what is added to a network, what trains, how long.

A method is a name here and nothing else: `prepare` makes the network that it trains, `phases` says what
is trained one after the other.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from mnist_course.errors import InputError
from mnist_course.finetuning import METHODS
from mnist_course.finetuning.adapters import add_adapters, bias_only
from mnist_course.finetuning.extending import require_plain
from mnist_course.finetuning.freezing import (
    freeze,
    head,
    layers,
    layerwise_learning_rates,
    linear_probe,
    replace_head,
    unfreeze,
)
from mnist_course.finetuning.lora import add_lora
from mnist_course.finetuning.prompts import Prompted

LEARNING_RATES = {
    "linear": 3e-3,
    "full": 1e-3,
    "lpft": 3e-4,
    "gradual": 1e-3,
    "layerwise": 1e-3,
    "lora": 3e-3,
    "adapter": 3e-3,
    "bias": 3e-3,
    "prompt": 3e-2,
}
"""Adam's learning rate where none is given."""

DECAY = 1 / 2.6
"""Of the learning rates from layer to layer towards the input: Howard and Ruder's."""


@dataclass(frozen=True)
class Phase:
    """A part of fine-tuning with one choice of what trains.

    Parameters
    ----------
    epochs
        How long, at least 1.
    learning_rate
        For parameters without a factor.
    trained
        Names of the layers that train; ``None`` leaves what the method's preparation chose.
    rate_factors
        Layer → factor on the learning rate.
    """

    epochs: int
    learning_rate: float
    trained: tuple[str, ...] | None = None
    rate_factors: Mapping[str, float] | None = None

    def arrange(self, model: nn.Module) -> None:
        """Freeze and unfreeze the network's layers for this phase."""
        if self.trained is not None:
            freeze(model)
            unfreeze(model, *self.trained)


def require_method(method: str) -> None:
    """Refuse a method that is none of `METHODS`."""
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")


def outputs(model: nn.Module) -> int:
    """Return the number of logits that the network's head makes."""
    return len(model.get_submodule(head(model)).get_parameter("weight"))


def prepare(
    model: nn.Module,
    method: str,
    *,
    classes: int,
    new_head: bool = False,
    rank: int = 4,
    labels: Sequence[int] | None = None,
    seed: int = 0,
) -> nn.Module:
    """Return the network that `method` trains, made of a copy of `model`.

    Parameters
    ----------
    model
        Plain: nothing added to it. It stays as it is.
    method
        One of `METHODS`.
    classes
        The number of logits; another number than the head makes brings a new head.
    new_head
        Make a new one anyway.
    rank
        Of LoRA's changes; the width of adapters, and of a prompt's border in pixels.
    labels
        For a prompt, which has no head of its own: the network's output that means each new class.
    seed
        Of the new weights.

    Raises
    ------
    InputError
        An unknown method, a rank that cannot be, or a network that the method cannot be applied to.
    """
    require_method(method)
    require_plain(model)
    network = copy.deepcopy(model)
    unfreeze(network)
    if method == "prompt":
        if labels is None and classes != outputs(network):
            raise InputError(
                f"{classes} classes are not the network's {outputs(network)}; a prompt needs labels:"
                " which output stands for each class"
            )
        return Prompted(network, border=rank, labels=labels)
    if new_head or outputs(network) != classes:
        replace_head(network, classes, seed=seed)
    if method == "lora":
        add_lora(network, rank=rank, seed=seed)
    elif method == "adapter":
        add_adapters(network, width=rank, seed=seed)
    elif method == "bias":
        bias_only(network)
    elif method == "linear":
        linear_probe(network)
    return network


def phases(
    model: nn.Module,
    method: str,
    *,
    epochs: int,
    learning_rate: float | None = None,
    probe_learning_rate: float | None = None,
) -> list[Phase]:
    """Return what `method` does one after the other.

    Parameters
    ----------
    model
        From `prepare`.
    method
        One of `METHODS`.
    epochs
        Of all phases together.
    learning_rate
        ``None`` means the method's own of `LEARNING_RATES`.
    probe_learning_rate
        Of the first phase of ``"lpft"``; ``None`` means that of ``"linear"``.

    Raises
    ------
    InputError
        An unknown method, or fewer epochs than it has phases.

    References
    ----------
    Kumar et al., Fine-tuning can distort pretrained features and underperform out-of-distribution, 2022
    (LP-FT: first the head, then everything).
    Howard and Ruder, Universal language model fine-tuning for text classification, 2018 (gradual
    unfreezing, rates by layer).
    """
    require_method(method)
    least = 2 if method == "lpft" else 1
    if epochs < least:
        raise InputError(f"epochs is {epochs}; expected at least {least} for the method {method!r}")
    rate = LEARNING_RATES[method] if learning_rate is None else learning_rate
    if method == "lpft":
        probe = LEARNING_RATES["linear"] if probe_learning_rate is None else probe_learning_rate
        first = Phase(epochs // 2, probe, trained=(head(model),))
        return [first, Phase(epochs - first.epochs, rate, trained=tuple(layers(model)))]
    if method == "gradual":
        return _gradual(model, epochs, rate)
    if method == "layerwise":
        return [Phase(epochs, rate, rate_factors=layerwise_learning_rates(model, DECAY))]
    return [Phase(epochs, rate)]


def _gradual(model: nn.Module, epochs: int, learning_rate: float) -> list[Phase]:
    """Unfreeze one more layer in every phase, the head first; several where epochs are few."""
    last = head(model)
    names = [last, *(name for name in reversed(layers(model)) if name != last)]
    count = min(epochs, len(names))
    found = []
    for index in range(count):
        open_layers = names[: -(-len(names) * (index + 1) // count)]
        length = epochs // count if index < count - 1 else epochs - (count - 1) * (epochs // count)
        found.append(Phase(length, learning_rate, trained=tuple(open_layers)))
    return found
