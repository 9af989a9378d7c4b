r"""Low-rank adaptation (LoRA): train a change of low rank beside weights that stay as they are.

Fine-tuning a layer changes its weights W, outputs × inputs, by some ΔW of the same size. Hu et al. train
two thin matrices instead, whose product is that change:

.. math:: y = W x + b + \frac{\alpha}{r} B A x, \qquad A \in \mathbb{R}^{r \times \text{inputs}},\quad
          B \in \mathbb{R}^{\text{outputs} \times r}

So r · (inputs + outputs) numbers train and not inputs · outputs. B starts at zero, so the network starts
out unchanged. Afterwards W + (α / r) B A is a plain weight: the merged network costs nothing extra.

A convolution is this product at every position, its inputs being the pixels under the kernel: A becomes
a convolution with r kernels, as large as the layer's, and B one of size 1 × 1.

References
----------
Hu et al., LoRA: Low-rank adaptation of large language models, 2021.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mnist_course.errors import InputError
from mnist_course.finetuning.extending import (
    Extended,
    Layer,
    extend,
    extendable,
    extended,
    replace,
    require_whole,
)

_GEOMETRY = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")


class _LoRA(Extended):
    """What both kinds share: base (W and b), down (A), up (B) and scale (α / r)."""

    base: Layer
    down: Layer
    up: Layer
    groups: int
    scale: float

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layer returns, plus the trained change."""
        return self.base(x) + self.scale * self.up(self.down(x))

    def merged(self) -> Layer:
        """Return a plain layer with the weights W + (α / r) B A."""
        up = self.up.weight.reshape(self.groups, -1, self.up.weight.shape[1])  # (g, outputs / g, r / g)
        down = self.down.weight.reshape(self.groups, up.shape[2], -1)  # (g, r / g, inputs / g)
        plain = copy.deepcopy(self.base)
        with torch.no_grad():
            plain.weight += self.scale * (up @ down).view_as(plain.weight)
        return plain


class LoRALinear(_LoRA):
    """A dense layer, frozen, and a trained change of low rank.

    Parameters
    ----------
    base
        Maps (…, inputs) to (…, outputs); frozen in place.
    rank
        r, at least 1.
    alpha
        α; the change is scaled by α / r. ``None`` means r, a scale of 1.

    Raises
    ------
    InputError
        A rank that is no positive whole number, or an alpha that is not positive.

    Examples
    --------
    >>> layer = LoRALinear(nn.Linear(400, 120), rank=4)
    >>> [tuple(part.weight.shape) for part in (layer.base, layer.down, layer.up)]
    [(120, 400), (4, 400), (120, 4)]
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float | None = None) -> None:
        scale = _scale(base, rank, alpha)
        super().__init__(base)
        self.groups, self.scale = 1, scale
        # A is drawn as PyTorch draws any weights, uniform within 1/√inputs: so do the authors
        self.down = nn.Linear(base.in_features, rank, bias=False).to(base.weight)
        self.up = nn.Linear(rank, base.out_features, bias=False).to(base.weight)
        nn.init.zeros_(self.up.weight)


class LoRAConv2d(_LoRA):
    """A convolution, frozen, and a trained change of low rank.

    Parameters
    ----------
    base
        Maps (N, C, H, W) to (N, outputs, H', W'); frozen in place. Each of its groups has its own A, B.
    rank
        r, at least 1 and a multiple of the layer's groups.
    alpha
        α; the change is scaled by α / r. ``None`` means r, a scale of 1.

    Raises
    ------
    InputError
        A rank that is no positive whole number or no multiple of the groups, or an alpha that is not
        positive.

    Examples
    --------
    >>> layer = LoRAConv2d(nn.Conv2d(6, 16, kernel_size=5), rank=4)
    >>> [tuple(part.weight.shape) for part in (layer.base, layer.down, layer.up)]
    [(16, 6, 5, 5), (4, 6, 5, 5), (16, 4, 1, 1)]
    """

    def __init__(self, base: nn.Conv2d, rank: int, alpha: float | None = None) -> None:
        scale = _scale(base, rank, alpha)
        super().__init__(base)
        self.groups, self.scale = base.groups, scale
        # A looks at the same pixels as the layer
        geometry: dict[str, Any] = {name: getattr(base, name) for name in _GEOMETRY}
        self.down = nn.Conv2d(base.in_channels, rank, bias=False, **geometry).to(base.weight)
        self.up = nn.Conv2d(rank, base.out_channels, 1, groups=base.groups, bias=False).to(base.weight)
        nn.init.zeros_(self.up.weight)


def _scale(layer: Layer, rank: int, alpha: float | None) -> float:
    """Return α / r, if the layer can have a change of that rank."""
    require_whole("rank", rank)
    groups = getattr(layer, "groups", 1)
    if rank % groups:
        raise InputError(
            f"rank is {rank}, but the convolution has {groups} groups; expected a multiple of that"
        )
    alpha = rank if alpha is None else alpha
    if not (alpha > 0 and math.isfinite(alpha)):
        raise InputError(f"alpha is {alpha}; expected a positive number, for example the rank")
    return alpha / rank


def add_lora(
    model: nn.Module,
    *,
    rank: int,
    alpha: float | None = None,
    layers: Sequence[str] | None = None,
    seed: int = 0,
) -> None:
    """Freeze the network, all but its head, and give layers a trained change of low rank.

    Parameters
    ----------
    model
        Changed in place, or not at all when something is wrong.
    rank
        Of each change, at least 1. Above the smaller of a layer's inputs and outputs there are more
        trained numbers and no more changes that they can make; above all of these it is refused.
    alpha
        Each change is scaled by alpha / rank; ``None`` means by 1.
    layers
        Names of convolutions and dense layers. ``None`` means all but the head, which trains itself.
        A head that is named is frozen like the others.
    seed
        The new weights depend on it alone; the global random state of PyTorch is left as it was.

    Raises
    ------
    InputError
        An unusable rank or alpha, an unknown layer, or a network that is extended already.
    """
    chosen = extendable(model, layers)
    for layer in chosen.values():
        _scale(layer, rank, alpha)
    highest = max(min(layer.weight.flatten(1).shape) for layer in chosen.values())
    if rank > highest:
        raise InputError(f"rank is {rank}, but no weight of {', '.join(chosen)} has more than {highest}")

    def add(layer: Layer) -> Extended:
        if isinstance(layer, nn.Conv2d):
            return LoRAConv2d(layer, rank, alpha)
        return LoRALinear(layer, rank, alpha)

    extend(model, chosen, add, seed=seed)


def merge_lora(model: nn.Module) -> None:
    """Put plain layers, which compute the same, in the place of all that `add_lora` made.

    Parameters
    ----------
    model
        Changed in place. Its parameters have the names and shapes that they had before `add_lora`, and
        stay frozen where they were.

    Raises
    ------
    InputError
        There is nothing to merge.
    """
    found = {name: part for name, part in extended(model).items() if isinstance(part, _LoRA)}
    if not found:
        raise InputError(f"{type(model).__name__} has no LoRA layers to merge; add_lora puts them in")
    for name, part in found.items():
        replace(model, name, part.merged())
