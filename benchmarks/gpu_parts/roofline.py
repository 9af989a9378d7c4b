"""What the device can do, and how near the networks come: points for a roofline.

The roof is the smaller of the arithmetic peak and intensity × bandwidth, both measured here. Operations
are counted by PyTorch's `FlopCounterMode`; bytes are what every operation of the step reads and writes,
each once, which is what has to move when nothing is fused and nothing stays in a cache.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from gpu_parts.accuracy import Save
from gpu_parts.machine import Action, Machine, median_rate
from gpu_parts.training import (
    FASTEST,
    NETWORKS,
    PRECISIONS,
    Resident,
    Run,
    Step,
    Way,
    build,
    float32_arithmetic,
)
from mnist_course.data import load_mnist

PRODUCTS = {  # precision → the type of the matrices
    "float32 without TF32": torch.float32,
    "TF32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
WAYS = {
    "float32": Way(channels_last=True, fused=True, autotune=True, graph=True),
    "bf16": FASTEST,
}
BATCHES = (128, 1024)


def part(machine: Machine, seeds: list[int], dry: bool, save: Save, before: dict[str, Any]) -> None:
    """Measure the two roofs, then every step and every layer with weights under them."""
    body = {"points": [], **before}
    if "peak_flops" not in body:
        body["matrix_size"] = size = 128 if dry else 8192
        body["peak_flops"] = {name: product_rate(machine, name, size) for name in PRODUCTS}
        body["bandwidth"] = copy_rate(machine, 2**20 if dry else 2**30)
        body["ridge_flop_per_byte"] = {
            name: peak / body["bandwidth"] for name, peak in body["peak_flops"].items()
        }
        save(body)
    train = load_mnist("train")
    resident = Resident.of(train.subset(range(256)) if dry else train, machine)
    there = {(point["network"], point["precision"], point["batch"]) for point in body["points"]}
    for network, precision, batch in itertools.product(NETWORKS, WAYS, (32,) if dry else BATCHES):
        if (network, precision, batch) in there:
            continue
        way, key = WAYS[precision], {"network": network, "precision": precision, "batch": batch}
        with float32_arithmetic(way):
            found = [
                step_point(machine, network, batch, way, resident, seeds[0]),
                *layer_points(machine, network, batch, way, seeds[0]),
            ]
        for point in found:
            peak = roof_of(precision, point["part"])
            placed = under_roof(point, body["peak_flops"][peak], body["bandwidth"])
            body["points"].append(key | placed | {"peak_of": peak})
        save(body)


def roof_of(precision: str, part: str) -> str:
    """Return whose peak bounds a part: PyTorch's float32 uses TF32 in convolutions and not in products.

    A step of both is held against the higher one.
    """
    if precision == "float32":
        return "float32 without TF32" if part.endswith("Linear") else "TF32"
    return precision


def product_rate(machine: Machine, precision: str, size: int) -> float:
    """Return the FLOP/s of a large product of random matrices."""
    with float32_arithmetic(Way(precision=precision)):
        a, b = (torch.randn(size, size, device=machine.device).to(PRODUCTS[precision]) for _ in "ab")
        return median_rate(2 * size**3, machine.seconds(lambda: a @ b, calls=5))


def copy_rate(machine: Machine, size: int) -> float:
    """Return the bytes per second, read and written, of copying `size` bytes on the device."""
    source = torch.randint(0, 255, (size,), dtype=torch.uint8, device=machine.device)
    target = torch.empty_like(source)
    return median_rate(2 * size, machine.seconds(lambda: target.copy_(source), calls=10))


def step_point(
    machine: Machine, network: str, batch: int, way: Way, data: Resident, seed: int
) -> dict[str, Any]:
    """Return a whole step's time, operations and bytes."""
    run = Run(Step(build(network, seed=seed), machine, way), data, batch)
    replay = run.prepare().replay
    steps = min(len(run.order), 40)

    def several() -> None:
        run.position.zero_()
        for _ in range(steps):
            replay()

    seconds = statistics.median(machine.seconds(several)) / steps
    on_host = Step(build(network, seed=seed), Machine("cpu"), way)
    images, labels = torch.rand(batch, 1, 28, 28), torch.zeros(batch, dtype=torch.long)
    on_host(images, labels)  # the first step also makes the optimizer's state
    return {"part": "step", "seconds": seconds, **counted(lambda: on_host(images, labels))}


def layer_points(
    machine: Machine, network: str, batch: int, way: Way, seed: int
) -> Iterable[dict[str, Any]]:
    """Yield time, operations and bytes of every convolution and linear layer, forward and backward."""
    host = Machine("cpu")
    built = build(network, seed=seed)
    shapes = input_shapes(built, batch)
    for index, (name, layer) in enumerate(shapes):
        on_host = layer_pass(host, layer, shapes[name, layer], way, inputs_too=index > 0)
        work = counted(on_host)
        replay = machine.graphed(
            layer_pass(machine, layer, shapes[name, layer], way, inputs_too=index > 0)
        ).replay
        seconds = statistics.median(machine.seconds(replay, calls=20))
        yield {"part": f"{name} {type(layer).__name__}", "seconds": seconds, **work}


def input_shapes(network: nn.Module, batch: int) -> dict[tuple[str, nn.Module], torch.Size]:
    """Return the input shape of every layer with weights that multiply, in the order of execution."""
    shapes: dict[tuple[str, nn.Module], torch.Size] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda layer, inputs: shapes.update({(name, layer): inputs[0].shape})

    hooks = [
        layer.register_forward_pre_hook(keep(name))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        network(torch.zeros(batch, 1, 28, 28))
    for hook in hooks:
        hook.remove()
    return shapes


def layer_pass(
    machine: Machine, layer: nn.Module, shape: torch.Size, way: Way, *, inputs_too: bool
) -> Action:
    """Return an action that runs a layer forward and backward on random numbers.

    The first layer of a network owes nobody the gradient of its inputs.
    """
    dtype = PRECISIONS[way.precision][0]
    images = way.channels_last and len(shape) == 4
    layout = {"memory_format": torch.channels_last if images else torch.contiguous_format}
    layer = layer.to(machine.device, **(layout if images else {}))
    inputs = torch.rand(shape, dtype=dtype, device=machine.device).to(**layout)
    inputs.requires_grad_(inputs_too)
    with torch.no_grad(), machine.autocast(dtype):
        gradient = torch.randn_like(layer(inputs))

    def both() -> None:
        for one in (inputs, *layer.parameters()):
            one.grad = None
        with machine.autocast(dtype):
            outputs = layer(inputs)
        outputs.backward(gradient)

    return both


class ByteCounter(TorchDispatchMode):
    """Adds up the bytes that operations read and write; a view moves nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.bytes += size_of((args, kwargs))
            written = [
                value
                for argument, value in zip(func._schema.arguments, args, strict=False)
                if argument.alias_info is not None and argument.alias_info.is_write
            ]
            self.bytes += size_of(written if written else outputs)
        return outputs


def size_of(values: Any) -> int:
    """Return the bytes of all tensors in nested lists and dictionaries."""
    return sum(one.nbytes for one in tree_leaves(values) if isinstance(one, torch.Tensor))


def counted(action: Action) -> dict[str, int]:
    """Run `action` on the CPU and return its floating-point operations and its bytes."""
    with FlopCounterMode(display=False) as operations:
        action()
    with ByteCounter() as traffic:
        action()
    return {"flop": operations.get_total_flops(), "bytes": traffic.bytes}


def under_roof(point: dict[str, Any], peak: float, bandwidth: float) -> dict[str, Any]:
    """Return the point with its intensity, its rate, and its share of what the roof allows there."""
    intensity, rate = point["flop"] / point["bytes"], point["flop"] / point["seconds"]
    roof = min(peak, intensity * bandwidth)
    return {
        **point,
        "flop_per_byte": intensity,
        "flop_per_second": rate,
        "roof_flop_per_second": roof,
        "share_of_roof": rate / roof,
        "below_ridge": intensity < peak / bandwidth,
    }
