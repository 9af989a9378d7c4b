"""What a network computes on the way to its logits, as vectors that other classifiers can use."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mnist_course.data.batches import require_bytes
from mnist_course.errors import InputError
from mnist_course.pytorch.loaders import to_tensor


def features(
    model: nn.Module, images: NDArray[np.uint8], layer: str, *, batch_size: int = 500
) -> NDArray[np.float32]:
    """Return the outputs of one layer, flattened.

    Parameters
    ----------
    model
        Takes float32 images (N, 1, 28, 28) in [0, 1]. It runs in evaluation mode, where it is; its
        training mode is restored afterwards.
    images
        uint8, shape (N, 28, 28), at least one.
    layer
        Name of a module, as ``model.named_modules()`` lists them. In the course's networks an
        activation is no module: the outputs of ``"fc1"`` are those before its ReLU.
    batch_size
        Images that are computed at a time.

    Returns
    -------
    ndarray
        float32, shape (N, D): channels, rows and columns of a convolution in one row.

    Raises
    ------
    InputError
        Other images, no such layer, or a layer whose output is no tensor with one row per image.

    Examples
    --------
    >>> from mnist_course.pytorch.models import build
    >>> features(build("lenet5"), np.zeros((3, 28, 28), np.uint8), "fc1").shape
    (3, 120)
    """
    require_bytes(images)
    if not len(images):
        raise InputError("there are no images; expected at least one")
    modules = dict(model.named_modules())
    if not layer or layer not in modules:
        raise InputError(
            f"{type(model).__name__} has no layer {layer!r};"
            f" choose one of {', '.join(name for name in modules if name)}"
        )
    found: list[Any] = []
    hook = modules[layer].register_forward_hook(lambda _module, _inputs, output: found.append(output))
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts = []
    try:
        with torch.inference_mode():
            for part in to_tensor(images).split(batch_size):
                found.clear()
                model(part.to(device))
                parts.append(_rows(found, len(part), layer))
    finally:
        hook.remove()
        model.train(was_training)
    return torch.cat(parts).numpy()


def _rows(outputs: list[Any], count: int, layer: str) -> torch.Tensor:
    """Return the one output as (count, D) on the CPU."""
    if len(outputs) != 1:
        raise InputError(f"layer {layer!r} ran {len(outputs)} times on a batch; expected once")
    output = outputs[0]
    if not isinstance(output, torch.Tensor) or output.ndim < 2 or len(output) != count:
        what = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise InputError(f"layer {layer!r} returned {what}; expected a tensor ({count}, …)")
    return output.flatten(1).float().cpu()
