"""Which parts of a network train: freezing, the head, and learning rates by depth.

`mnist_course.pytorch.training.fit` leaves frozen parameters as they are, and the running statistics of
batch normalisation whose parameters are frozen.
"""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mnist_course.errors import InputError
from mnist_course.pytorch.models import initialise
from mnist_course.pytorch.parameters import below, layers

__all__ = [
    "freeze",
    "head",
    "layers",
    "layerwise_learning_rates",
    "linear_probe",
    "replace_head",
    "trainable",
    "trained_state",
    "unfreeze",
]


def head(model: nn.Module) -> str:
    """Return the name of the last dense layer, whose outputs are the logits.

    Raises
    ------
    InputError
        The model has no dense layer inside it.

    Examples
    --------
    >>> head(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))
    '2'
    """
    dense = [name for name, module in model.named_modules() if name and isinstance(module, nn.Linear)]
    if not dense:
        raise InputError(
            f"{type(model).__name__} has no dense layer that could be its head;"
            f" its layers are {', '.join(layers(model)) or 'none'}"
        )
    return dense[-1]


def freeze(model: nn.Module, *names: str) -> None:
    """Let parameters keep their values in training.

    Parameters
    ----------
    model
        Any module; changed in place.
    *names
        Names of layers, of parameters, or of modules with all that is in them: ``"conv1"``,
        ``"fc1.bias"``, ``"features.3"``. Without a name everything is frozen.

    Raises
    ------
    InputError
        A name that stands for nothing.
    """
    _require_gradient(model, names, False)


def unfreeze(model: nn.Module, *names: str) -> None:
    """Let parameters train that `freeze` excluded; the names mean the same."""
    _require_gradient(model, names, True)


def _require_gradient(model: nn.Module, names: tuple[str, ...], required: bool) -> None:
    parameters = dict(model.named_parameters())
    chosen = [each for name in names for each in below(model, name)] if names else parameters
    for each in chosen:
        parameters[each].requires_grad_(required)


def linear_probe(model: nn.Module) -> None:
    """Freeze all but the head, which becomes a linear classifier of the features before it."""
    last = head(model)
    freeze(model)
    unfreeze(model, last)


def trainable(model: nn.Module) -> int:
    """Count the numbers that train.

    >>> layer = nn.Linear(3, 2)
    >>> freeze(layer, "bias")
    >>> trainable(layer)
    6
    """
    return sum(value.numel() for value in model.parameters() if value.requires_grad)


def trained_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of what training can change, under the names that the model's state has.

    These are the parameters that are not frozen, and the buffers, such as running statistics, of layers
    with such a parameter or of normalisation without any parameter.
    """
    moving = {name for name, value in model.named_parameters() if value.requires_grad}
    for name, module in model.named_modules():
        own = [*module.parameters(recurse=False)]
        if any(value.requires_grad for value in own) or (isinstance(module, _NormBase) and not own):
            prefix = f"{name}." if name else ""
            moving |= {prefix + buffer for buffer, _ in module.named_buffers(recurse=False)}
    return {name: value.detach().clone() for name, value in model.state_dict().items() if name in moving}


def replace_head(model: nn.Module, classes: int, *, seed: int = 0) -> None:
    """Put a new dense layer with `classes` outputs in the head's place; all else stays.

    Parameters
    ----------
    model
        Changed in place.
    classes
        The number of logits, at least 2.
    seed
        The new weights depend on it alone. They are drawn as those of the course's networks are, and
        the global random state of PyTorch is left as it was.

    Raises
    ------
    InputError
        No head, or fewer than two classes.
    """
    name = head(model)
    if classes < 2:
        raise InputError(f"a head for {classes} classes tells nothing apart; expected at least 2")
    parent, _, attribute = name.rpartition(".")
    old = model.get_submodule(name)
    assert isinstance(old, nn.Linear)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new = nn.Linear(old.in_features, classes, bias=old.bias is not None, dtype=old.weight.dtype)
        initialise(new)
    setattr(model.get_submodule(parent), attribute, new.to(old.weight.device))


def layerwise_learning_rates(model: nn.Module, decay: float) -> dict[str, float]:
    r"""Return factors on the learning rate that fall from the head to the input.

    Parameters
    ----------
    model
        Its `layers` are counted in the order in which they were registered.
    decay
        The layer k steps before the head has the factor :math:`d^k`. Howard and Ruder divide by 2.6.

    Returns
    -------
    dict
        Layer → factor, for ``fit(..., rate_factors=...)``; 1 for the head and what was registered
        after it.

    Raises
    ------
    InputError
        No head, or a decay outside 0 < d <= 1.

    References
    ----------
    Howard and Ruder, Universal language model fine-tuning for text classification, 2018.

    Examples
    --------
    >>> layerwise_learning_rates(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), 0.5)
    {'0': 0.5, '1': 1.0}
    """
    if not 0 < decay <= 1:
        raise InputError(f"decay is {decay}; expected above 0 and at most 1, for example 1 / 2.6")
    names = layers(model)
    last = names.index(head(model))
    return {name: float(decay ** max(last - index, 0)) for index, name in enumerate(names)}
