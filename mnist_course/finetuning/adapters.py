r"""Small parts that train while the network stays as it is: adapters, or the biases alone.

An adapter is a bottleneck behind a layer. It maps the layer's output h, of d channels or units, down to
a width m, through ReLU, and up again, and adds the result to h:

.. math:: h' = h + U \, \mathrm{ReLU}(D h + c) + e, \qquad D \in \mathbb{R}^{m \times d},\quad
          U \in \mathbb{R}^{d \times m}

That is 2 m d + m + d trained numbers per layer. U and e start at zero, so the network starts out
unchanged. Unlike LoRA's change an adapter can't be merged into the layer, because of the ReLU: it costs
time in every prediction.

References
----------
Houlsby et al., Parameter-efficient transfer learning for NLP, 2019 (adapters in Transformers).
Rebuffi, Bilen and Vedaldi, Learning multiple visual domains with residual adapters, 2017 (1 × 1
convolutions as adapters).
Ben Zaken et al., BitFit: Simple parameter-efficient fine-tuning for Transformer-based masked
language-models, 2021 (biases).
"""

import torch
from torch import nn
from torch.nn import functional as F

from mnist_course.errors import InputError
from mnist_course.finetuning.extending import (
    Extended,
    Layer,
    extend,
    extendable,
    require_plain,
    require_whole,
)
from mnist_course.finetuning.freezing import freeze, head, unfreeze


class Adapter(Extended):
    """A layer, frozen, with a trained bottleneck behind it.

    Parameters
    ----------
    base
        A dense layer with outputs (…, d), or a convolution with outputs (N, d, H, W), at each of whose
        positions the adapter does the same: it is made of 1 × 1 convolutions. Frozen in place.
    width
        m, at least 1.

    Raises
    ------
    InputError
        A width that is no positive whole number.

    Examples
    --------
    >>> layer = Adapter(nn.Conv2d(6, 16, kernel_size=5), width=2)
    >>> [tuple(part.weight.shape) for part in (layer.down, layer.up)]
    [(2, 16, 1, 1), (16, 2, 1, 1)]
    """

    down: Layer
    up: Layer

    def __init__(self, base: Layer, width: int) -> None:
        require_whole("width", width)
        super().__init__(base)
        if isinstance(base, nn.Conv2d):
            self.down = nn.Conv2d(base.out_channels, width, kernel_size=1)
            self.up = nn.Conv2d(width, base.out_channels, kernel_size=1)
        else:
            self.down = nn.Linear(base.out_features, width)
            self.up = nn.Linear(width, base.out_features)
        for value in self.up.parameters():
            nn.init.zeros_(value)
        self.to(base.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layer returns, altered by the adapter."""
        h = self.base(x)
        return h + self.up(F.relu(self.down(h)))


def add_adapters(model: nn.Module, *, width: int, seed: int = 0) -> None:
    """Freeze the network, all but its head, and put an adapter behind every other layer.

    Parameters
    ----------
    model
        Changed in place, or not at all when something is wrong.
    width
        Of each bottleneck: 1 up to the outputs of the widest layer. It narrows where a layer has more.
    seed
        The new weights depend on it alone; the global random state of PyTorch is left as it was.

    Raises
    ------
    InputError
        An unusable width, or a network that is extended already.
    """
    require_whole("width", width)
    chosen = extendable(model)
    widest = max(len(layer.weight) for layer in chosen.values())
    if width > widest:
        raise InputError(f"width is {width}, but the widest layer has {widest} outputs; expected less")
    extend(model, chosen, lambda layer: Adapter(layer, width), seed=seed)


def bias_only(model: nn.Module) -> None:
    """Freeze all weights but the head's: what trains are the biases, and the head.

    Parameters
    ----------
    model
        Changed in place. In batch normalisation the shift is its bias.

    Raises
    ------
    InputError
        Something has been added to the network, or no layer but the head has a bias.
    """
    require_plain(model)
    last = head(model)
    names = [name for name, _ in model.named_parameters()]
    biases = [name for name in names if name.endswith(".bias") and not name.startswith(f"{last}.")]
    if not biases:
        raise InputError(
            f"no layer of {type(model).__name__} but its head has a bias; linear_probe trains the head"
        )
    freeze(model)
    unfreeze(model, last, *biases)
