"""A training step, carried out in the ways that the benchmark compares.

What is computed is the same in all of them, up to rounding: forward, cross-entropy, backward, AdamW.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gpu_parts.machine import Graphed, Machine
from mnist_course.data import ImageDataset
from mnist_course.pytorch.execution import WARM_UP
from mnist_course.pytorch.ladder import LadderCNN
from mnist_course.pytorch.loaders import to_tensor
from mnist_course.pytorch.models import build as build_course_network
from mnist_course.schedules import one_cycle

PRECISIONS = {
    # name: the type that autocast uses, TF32 in matrix products, TF32 in convolutions
    "float32": (None, False, True),  # what PyTorch does when told nothing
    "float32 without TF32": (None, False, False),
    "TF32": (None, True, True),
    "bf16": (torch.bfloat16, False, True),
    "fp16": (torch.float16, False, True),
}


@dataclass(frozen=True)
class Way:
    """How a step is carried out; the defaults are what PyTorch does when told nothing."""

    channels_last: bool = False
    precision: str = "float32"
    fused: bool = False  # one kernel updates all weights
    autotune: bool = False  # cuDNN tries its algorithms for every new shape
    compile: bool = False
    graph: bool = False


FASTEST = Way(channels_last=True, precision="bf16", fused=True, autotune=True, graph=True)

NETWORKS = ("lenet5", "fast")


def build(name: str, *, seed: int, channels: tuple[int, int] = (16, 48)) -> nn.Module:
    """Build a network of the course, or the ladder's fastest, ``"fast"``, on the CPU.

    Its weights depend on `seed` alone. That network is twice convolution 5×5, pooling, batch
    normalisation and ReLU, and then one linear layer.
    """
    if name != "fast":
        return build_course_network(name, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LadderCNN(
            channels, (5, 5), early_pooling=True, batch_norm=True, dropout=(0.0, 0.0), hidden=0
        )


@contextmanager
def float32_arithmetic(way: Way) -> Iterator[None]:
    """Let PyTorch's switches for the whole process be as `way` has them, and put them back."""
    _, products, convolutions = PRECISIONS[way.precision]
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    try:
        # Not by the newer `fp32_precision`: after it, the compiler of PyTorch 2.9 to 2.11 fails when it
        # asks for `allow_tf32` (issue 166387 of pytorch/pytorch). These agree with both.
        torch.set_float32_matmul_precision("high" if products else "highest")
        cudnn.allow_tf32, cudnn.benchmark = convolutions, way.autotune
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32, cudnn.benchmark = before[1:]


class Step:
    """One training step on a batch that is on the device: ``step(images, labels)``."""

    def __init__(
        self,
        network: nn.Module,
        machine: Machine,
        way: Way,
        *,
        learning_rate: float | torch.Tensor = 1e-3,
        weight_decay: float = 0.01,
        label_smoothing: float = 0.0,
    ) -> None:
        layout = torch.channels_last if way.channels_last else torch.contiguous_format
        self.network = network.to(machine.device, memory_format=layout).train()
        self.machine, self.way, self.label_smoothing = machine, way, label_smoothing
        self.dtype = PRECISIONS[way.precision][0]
        self.optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=learning_rate,
            weight_decay=weight_decay,
            **({"fused": True} if way.fused else {}),
            **(machine.capturable if way.graph else {}),
        )
        scaled = self.dtype == torch.float16  # whose small gradients would become zero
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=scaled)
        self.loss = self._loss
        if way.compile:
            torch.compiler.reset()  # or steps compiled before count towards a limit of variants
            self.loss = torch.compile(self._loss, dynamic=False, backend=machine.compiler)

    def _loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.network(images), labels, label_smoothing=self.label_smoothing)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Forward, backward and update."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.machine.autocast(self.dtype):
            loss = self.loss(images, labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def start_afresh(self, network: nn.Module) -> None:
        """Take over the weights of `network` and forget all steps; no tensor changes its place."""
        with torch.no_grad():
            for ours, theirs in zip(
                self.network.state_dict().values(), network.state_dict().values(), strict=True
            ):
                ours.copy_(theirs)
            for state in self.optimizer.state.values():
                for value in state.values():
                    value.zero_()


@dataclass
class Resident:
    """A data set on the device."""

    images: torch.Tensor  # float32 (N, 1, 28, 28) in [0, 1]
    labels: torch.Tensor  # int64 (N,)

    @classmethod
    def of(cls, dataset: ImageDataset, machine: Machine) -> Resident:
        """Carry a data set to the device."""
        labels = torch.from_numpy(dataset.labels.astype(np.int64))
        return cls(to_tensor(dataset.images).to(machine.device), labels.to(machine.device))


@dataclass(frozen=True)
class Recipe:
    """A training run that was fixed beforehand."""

    channels: tuple[int, int] = (16, 48)
    epochs: int = 1
    batch_size: int = 512
    learning_rate: float = 0.01  # the peak of one cycle over the whole run
    weight_decay: float = 0.01
    label_smoothing: float = 0.1


@dataclass
class Run:
    """Training on a resident data set, in which a step takes nothing from the host.

    The order of the examples, the learning rates and the number of the step are tensors on the device:
    that is what allows a step to be a graph. Examples that do not fill a batch are left out of an epoch.
    """

    step: Step
    data: Resident
    batch_size: int
    rates: torch.Tensor | None = None  # (steps of the whole run,); None leaves the rate as it is
    order: torch.Tensor = field(init=False)  # int64 (steps of an epoch, B)
    position: torch.Tensor = field(init=False)  # int64 (2,): the step in its epoch, and in the run
    graphed: Graphed | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        steps, device = len(self.data.labels) // self.batch_size, self.data.labels.device
        self.order = torch.arange(steps * self.batch_size, device=device).view(steps, self.batch_size)
        self.position = torch.zeros(2, dtype=torch.int64, device=device)

    def advance(self) -> None:
        """Carry out the next step."""
        in_epoch, in_run = self.position.split(1)
        batch = self.order.index_select(0, in_epoch)[0]  # (B,)
        if self.rates is not None:
            rate = self.step.optimizer.param_groups[0]["lr"]
            rate.copy_(self.rates.index_select(0, in_run)[0])
        self.step(self.data.images.index_select(0, batch), self.data.labels.index_select(0, batch))
        self.position.add_(1)

    def prepare(self) -> Graphed:
        """Make the step ready, by a few steps and, if the way asks for it, a graph."""
        machine = self.step.machine
        if self.step.way.graph:
            self.graphed = machine.graphed(self.advance)
        else:
            warm_up, _ = machine.timed(lambda: [self.advance() for _ in range(WARM_UP)])
            self.graphed = Graphed(self.advance, warm_up, 0.0)
        self.position.zero_()
        return self.graphed

    def epoch(self, generator: torch.Generator) -> None:
        """Train on all examples once, in an order drawn on the device."""
        count = len(self.data.labels)
        drawn = torch.randperm(count, generator=generator, device=self.order.device)
        self.order.copy_(drawn[: self.order.numel()].view_as(self.order))
        self.position[0] = 0
        for _ in range(len(self.order)):
            self.graphed.replay()

    def train(self, recipe: Recipe, seed: int) -> tuple[float, float]:
        """Train from fresh weights; return the seconds on the host's and on the device's clock.

        They hold all that depends on the data: drawing orders, looking up batches and the steps.
        """
        self.step.start_afresh(build("fast", seed=seed, channels=recipe.channels))
        self.step.network.train()
        self.position.zero_()
        generator = torch.Generator(self.order.device).manual_seed(seed)

        def whole_run() -> None:
            for _ in range(recipe.epochs):
                self.epoch(generator)

        return self.step.machine.timed(whole_run)


def run_of(recipe: Recipe, data: Resident, machine: Machine, way: Way) -> Run:
    """Return a run of `recipe` that has not been prepared."""
    steps = len(data.labels) // recipe.batch_size * recipe.epochs
    rule = one_cycle(recipe.learning_rate, steps)
    rates = torch.tensor([rule(step) for step in range(steps)])
    step = Step(
        build("fast", seed=0, channels=recipe.channels),
        machine,
        way,
        learning_rate=torch.tensor(recipe.learning_rate, device=machine.device),
        weight_decay=recipe.weight_decay,
        label_smoothing=recipe.label_smoothing,
    )
    return Run(step, data, recipe.batch_size, rates.to(machine.device))


def share_correct(network: nn.Module, data: Resident) -> tuple[int, int]:
    """Return how many images the network classifies correctly, in float32, and how many there are."""
    network.eval()
    with torch.inference_mode():
        parts = zip(data.images.split(2000), data.labels.split(2000), strict=True)
        correct = sum(int((network(images).argmax(1) == labels).sum()) for images, labels in parts)
    return correct, len(data.labels)


def as_dict(way: Way) -> dict[str, Any]:
    """Return what differs from PyTorch's own way."""
    plain = Way()
    return {name: value for name, value in vars(way).items() if value != getattr(plain, name)}
