"""What a PyTorch module's `forward` does, as a list of modules in the order of their calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from mnist_course.equivalence.layouts import unsupported
from mnist_course.errors import InputError

FUNCTIONS: dict[Any, type[nn.Module]] = {
    F.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    torch.sigmoid: nn.Sigmoid,
    torch.tanh: nn.Tanh,
    torch.flatten: nn.Flatten,
    F.max_pool2d: nn.MaxPool2d,
    F.avg_pool2d: nn.AvgPool2d,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "flatten": nn.Flatten,
}
"""Functions and tensor methods that `forward` may call, and the module that does the same."""


def steps(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return what `forward` does, in order, every step as a module with a name for messages."""
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:  # whatever the user's forward raises when it is given a symbol
        raise InputError(
            f"the forward method of {type(model).__name__} cannot be followed: {error};"
            " it must call one layer after the other, without conditions on its input"
        ) from None
    found: list[tuple[str, nn.Module]] = []
    seen: set[nn.Module] = set()
    previous: fx.Node | None = None
    for node in graph.nodes:
        if previous is not None and (node.all_input_nodes != [previous] or len(previous.users) != 1):
            raise unsupported(
                f"{previous.name} in {type(model).__name__}", "is not simply followed by the next step"
            )
        if node.op == "call_module":
            module = model.get_submodule(str(node.target))
            name = f"layer {node.target!r}, {type(module).__name__},"
            if module in seen and next(module.parameters(), None) is not None:
                raise unsupported(name, "is called twice, and its weights would become two")
            seen.add(module)
            if not isinstance(module, nn.Identity):
                found.append((name, module))
        elif node.op in ("call_function", "call_method"):
            found.append((f"{node.name} in {type(model).__name__}", _as_module(model, node)))
        previous = node
    return found


def _as_module(model: nn.Module, node: fx.Node) -> nn.Module:
    """Return the module that does what a function or method called in `forward` does."""
    options = node.args[1:]
    if node.target in ("view", "reshape") and len(options) == 2 and options[0] == -1:
        return nn.Flatten()  # x.view(-1, features)
    kind = FUNCTIONS.get(node.target)
    if kind is None:
        called = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "?")
        raise unsupported(
            f"{called}() in the forward method of {type(model).__name__}", "is unknown here"
        )
    if kind is nn.Flatten and not options and "start_dim" not in node.kwargs:
        return nn.Flatten(start_dim=0)  # unlike the module, the function flattens the batch as well
    return kind(*options, **node.kwargs)
