"""PyTorch's networks, read and written: channels first, kernels (O, C, kh, kw), rows transposed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import nn
from torch.nn import functional as F

from mnist_course.equivalence import in_numpy, layouts
from mnist_course.equivalence.layouts import Gradients, unsupported
from mnist_course.equivalence.tracing import steps
from mnist_course.pytorch.models import MODELS
from mnist_course.scratch.arrays import FloatArray, IntArray
from mnist_course.scratch.geometry import pair, same_padding
from mnist_course.scratch.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    MaxPool2D,
    ReLU,
    Shape,
    Sigmoid,
    Tanh,
)
from mnist_course.scratch.network import Sequential
from mnist_course.scratch.regularization import BatchNorm, Dropout

ACTIVATIONS: dict[type[Layer], type[nn.Module]] = {
    ReLU: nn.ReLU, Sigmoid: nn.Sigmoid, Tanh: nn.Tanh,
}  # fmt: skip

ArrayOf = Callable[[torch.Tensor], FloatArray]


def read(model: nn.Module, input_shape: Shape, array_of: ArrayOf | None = None) -> Sequential:
    """Return the module as a NumPy network; `array_of` puts other arrays in its parameters' place."""
    array_of = array_of or _values
    layers: list[Layer] = []
    zeros: tuple[tuple[int, int], tuple[int, int]] | None = None
    for name, module in steps(model):
        if isinstance(module, nn.ZeroPad2d):
            left, right, top, bottom = module.padding
            zeros = (top, bottom), (left, right)
            continue
        layer = _layer(name, module, array_of, len(layers))
        if zeros is not None:
            if not isinstance(layer, Conv2D) or layer.padding != ((0, 0), (0, 0)):
                raise unsupported(name, "stands behind ZeroPad2d and is no convolution without padding")
            layer.padding, zeros = zeros, None
        if layer is not None:
            layers.append(layer)
    if zeros is not None or not layers:
        raise unsupported(type(model).__name__, "does not end with a layer")
    names = {kind: name for name, kind in MODELS.items()}
    network = layouts.network_of(layers, input_shape, names.get(type(model), "sequential"))
    layouts.reorder(network, channels_first=False)
    return network


def write(network: Sequential) -> nn.Module:
    """Return the course's own module where there is one of this name, else an `nn.Sequential`."""
    assert network.input_shape is not None
    model: nn.Module = nn.Sequential(
        *(
            module
            for layer, shape in zip(network.layers, layouts.shapes(network), strict=True)
            for module in _modules(layer, shape)
        )
    )
    if network.name in MODELS:
        own = MODELS[network.name]()
        if layouts.description(read(own, network.input_shape)) == layouts.description(network):
            model = own
    rows_first = in_numpy.write(network)
    layouts.reorder(rows_first, channels_first=True)
    weighted = [layer for layer in rows_first.layers if layer.parameters()]
    modules = [module for _, module in steps(model) if any(True for _ in module.parameters())]
    with torch.no_grad():
        for module, layer in zip(modules, weighted, strict=True):
            _assign(module, layer)
    return model.to(getattr(torch, str(np.dtype(in_numpy.dtype_of(network)))))


def dtype_of(model: nn.Module) -> DTypeLike:
    """Return the floating-point type the network computes in."""
    dtype = next((parameter.dtype for parameter in model.parameters()), torch.float32)
    layouts.require_known_dtype(type(model).__name__, dtype)
    return np.dtype(str(dtype).removeprefix("torch."))


def logits(model: nn.Module, inputs: FloatArray) -> FloatArray:
    """Return the outputs (N, K) in evaluation mode; the model's own mode is restored."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            outputs: FloatArray = model(_tensor(model, inputs)).cpu().numpy()
    finally:
        _restore(modes)
    return outputs


def gradients(model: nn.Module, inputs: FloatArray, labels: IntArray) -> Gradients:
    """Run one training batch through copies of the weights and statistics, without dropout."""
    copies = {
        name: parameter.detach().clone().requires_grad_() for name, parameter in model.named_parameters()
    }
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    modes = {module: module.training for module in model.modules()}
    model.train()
    for module in modes:
        if isinstance(module, nn.Dropout):
            module.eval()
    try:
        images = _tensor(model, inputs)
        outputs = torch.func.functional_call(model, (copies, buffers), (images,))
        loss = F.cross_entropy(outputs, torch.from_numpy(labels.astype(np.int64)).to(images.device))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "CUDA initialization")  # libraries without a driver
            found = torch.autograd.grad(loss, list(copies.values()))
    finally:
        _restore(modes)
    arrays: dict[torch.Tensor, FloatArray] = {
        parameter: gradient.cpu().numpy()
        for (_, parameter), gradient in zip(model.named_parameters(), found, strict=True)
    }
    as_network = read(model, inputs.shape[1:], arrays.__getitem__)
    return Gradients(outputs.detach().cpu().numpy(), loss.item(), as_network.parameters())


def _layer(name: str, module: nn.Module, array_of: ArrayOf, index: int) -> Layer:
    """Return one module as a layer, its rows still in channels-first order."""
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is None:
        raise unsupported(name, "has no bias, which the NumPy wing's layers always have")
    match module:
        case nn.Conv2d(groups=1, padding_mode="zeros", bias=torch.Tensor() as bias):
            return layouts.convolution(
                array_of(module.weight).transpose(2, 3, 1, 0),  # (O, C, kh, kw) -> (kh, kw, C, O)
                array_of(bias),
                stride=module.stride,
                padding=_padding(module),
                dilation=module.dilation,
            )
        case nn.Linear(bias=torch.Tensor() as bias):
            return layouts.dense(array_of(module.weight).T, array_of(bias))
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            mean, variance = module.running_mean, module.running_var
            if not module.affine or module.momentum is None or mean is None or variance is None:
                raise unsupported(name, "has no weights, statistics or momentum")
            return layouts.batch_norm(
                array_of(module.weight),
                array_of(module.bias),
                _values(mean),
                _values(variance),
                momentum=module.momentum,
                epsilon=module.eps,
            )
        case nn.MaxPool2d(padding=0 | (0, 0), dilation=1 | (1, 1), ceil_mode=False):
            return MaxPool2D(module.kernel_size, module.stride)
        case nn.AvgPool2d(padding=0 | (0, 0), ceil_mode=False, divisor_override=None):
            return AvgPool2D(module.kernel_size, module.stride)
        case nn.Flatten(start_dim=1, end_dim=-1):
            return Flatten()
        case nn.Dropout():
            return Dropout(module.p, rng=index)
    for layer, kind in ACTIVATIONS.items():
        if type(module) is kind:
            return layer()
    raise unsupported(name, "has no counterpart with these options")


def _padding(module: nn.Conv2d) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the zeros as ((top, bottom), (left, right))."""
    if module.padding == "same":  # PyTorch allows it with stride 1 only, where the size is of no account
        rows, columns = (
            same_padding(size, size, 1, dilation)
            for size, dilation in zip(module.kernel_size, module.dilation, strict=True)
        )
        return rows, columns
    if isinstance(module.padding, str):  # "valid"
        return (0, 0), (0, 0)
    rows_each, columns_each = pair("padding", module.padding, minimum=0)
    return (rows_each, rows_each), (columns_each, columns_each)


def _modules(layer: Layer, shape: Shape) -> list[nn.Module]:
    """Return the modules, weights not yet set, that compute what one layer does."""
    match layer:
        case Conv2D():
            rows, columns, inputs, outputs = layer.weight.shape
            stride, dilation, padding, _ = layouts.geometry(layer, shape)
            (top, bottom), (left, right) = padding
            if (top, left) != (bottom, right):  # nn.Conv2d pads both sides alike
                zeros, padding = [nn.ZeroPad2d((left, right, top, bottom))], ((0, 0), (0, 0))
            else:
                zeros = []
            options: dict[str, Any] = {"stride": stride, "dilation": dilation}
            options["padding"] = (padding[0][0], padding[1][0])
            return [*zeros, nn.Conv2d(inputs, outputs, (rows, columns), **options)]
        case Dense():
            return [nn.Linear(*layer.weight.shape)]
        case BatchNorm():
            kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
            return [kind(len(layer.gamma), eps=layer.epsilon, momentum=layer.momentum)]
        case MaxPool2D():
            return [nn.MaxPool2d(layer.size, layer.stride)]
        case AvgPool2D():
            return [nn.AvgPool2d(layer.size, layer.stride)]
        case Flatten():
            return [nn.Flatten()]
        case Dropout():
            return [nn.Dropout(layer.rate)]
    return [ACTIVATIONS[type(layer)]()]


def _assign(module: nn.Module, layer: Layer) -> None:
    """Copy a layer's arrays into the module, in whose dtype they arrive."""
    match layer:
        case Conv2D():
            arrays = {"weight": layer.weight.transpose(3, 2, 0, 1), "bias": layer.bias}
        case Dense():
            arrays = {"weight": layer.weight.T, "bias": layer.bias}
        case BatchNorm():
            arrays = {"weight": layer.gamma, "bias": layer.beta}
            arrays |= {"running_mean": layer.running_mean, "running_var": layer.running_variance}
    module.to(getattr(torch, str(layer.parameters().popitem()[1].dtype)))
    for name, array in arrays.items():
        getattr(module, name).copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _tensor(model: nn.Module, inputs: FloatArray) -> torch.Tensor:
    """Return the inputs where the model is, images with their channels first."""
    if inputs.ndim == 4:
        inputs = np.moveaxis(inputs, -1, 1)  # (N, H, W, C) -> (N, C, H, W)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    return torch.from_numpy(np.ascontiguousarray(inputs)).to(device)


def _values(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().cpu().numpy()
    return array


def _restore(modes: dict[nn.Module, bool]) -> None:
    for module, training in modes.items():
        module.training = training
