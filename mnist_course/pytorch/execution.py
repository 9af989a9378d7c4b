"""How training steps are carried out: number type, memory layout, compiled, or recorded for a GPU.

An `Execution` decides how fast the numbers of a run come and how they are rounded, and not what is
computed. Chapter 11 measures what each of its settings gains.
"""

import inspect
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._dynamo.exc import BackendCompilerFailed
from torch.nn import functional as F

from mnist_course.errors import InputError
from mnist_course.pytorch import parameters

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Names of the number types that a network can compute in."""

WARM_UP = 3
"""Steps before one is recorded, in which libraries choose their algorithms and state is created."""


@dataclass(frozen=True)
class Execution:
    """How a network is trained, on whichever device. Evaluation is in float32 always.

    Parameters
    ----------
    precision
        ``"float32"``; or ``"bf16"`` or ``"fp16"``, in which layers compute while weights, loss and
        updates stay float32 (PyTorch's autocast). fp16 holds small gradients only when the loss is
        scaled up, which is done for it; it is for CUDA.
    channels_last
        Keep a pixel's channels next to each other in memory, as convolutions on tensor cores and some
        CPUs want them. Shapes stay (N, C, H, W).
    compile
        Let ``torch.compile`` translate the network. The first step takes long, and dropout draws other
        random numbers. It needs a C++ compiler.
    cuda_graph
        Record a whole step, update included, and replay it: one launch instead of one per operation.
        It is for CUDA; after three ordinary steps all full batches are replayed.

    Raises
    ------
    InputError
        An unknown precision, or fp16 within a recorded step, whose loss scaling has to look at it.

    Notes
    -----
    The batch that is smaller than the first one, an epoch's last, is neither compiled nor recorded.

    Examples
    --------
    >>> Execution(precision="bf16", channels_last=True)
    Execution(precision='bf16', channels_last=True, compile=False, cuda_graph=False)
    """

    precision: str = "float32"
    channels_last: bool = False
    compile: bool = False
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(
                f"unknown precision {self.precision!r}; choose one of {', '.join(PRECISIONS)}"
            )
        if self.cuda_graph and self.precision == "fp16":
            raise InputError("a recorded step (cuda_graph) cannot scale fp16's loss; use bf16")

    def require(self, device: torch.device) -> None:
        """Refuse a device that cannot do this.

        Raises
        ------
        InputError
            fp16 or a recorded step elsewhere than on CUDA.
        """
        if device.type == "cuda":
            return
        if self.precision == "fp16":
            raise InputError(f"fp16 needs a CUDA device and this is {device}; use bf16 or float32")
        if self.cuda_graph:
            raise InputError(f"cuda_graph needs a CUDA device and this is {device}; leave it out")

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """Return the context in which layers compute in this precision."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, PRECISIONS[self.precision])

    def optimizer(
        self,
        rule: type[torch.optim.Optimizer],
        model: nn.Module,
        learning_rate: float,
        *,
        rate_factors: Mapping[str, float] | None = None,
        **options: Any,
    ) -> torch.optim.Optimizer:
        """Return the optimizer of what trains in the model, able to be recorded if need be.

        Raises
        ------
        InputError
            Nothing trains, or unusable factors: see `mnist_course.pytorch.parameters.groups`.
        """
        options["lr"] = learning_rate
        groups = parameters.groups(model, rate_factors)
        if self.cuda_graph:
            # a recording repeats what it reads: a number would stay, a tensor can be filled anew
            device = next(model.parameters()).device
            options |= {"lr": torch.tensor(learning_rate, device=device), "fused": True}
            if "capturable" in inspect.signature(rule).parameters:  # counts its steps on the device
                options["capturable"] = True
            for group in groups:
                group["lr"] = torch.tensor(learning_rate, device=device)  # not one tensor for all
        return rule(groups, **options)


PLAIN = Execution()
"""float32, step by step: what is done unless asked otherwise."""


class Step:
    """Forward, cross-entropy, backward and update on one batch after the other.

    Parameters
    ----------
    model
        On its device; `execution` may change the memory layout of its weights.
    optimizer
        From `Execution.optimizer`.
    execution
        How the steps are carried out.
    label_smoothing
        Share of each target that is spread evenly over all classes.

    Raises
    ------
    InputError
        The model's device cannot do it.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        execution: Execution = PLAIN,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        self.device = next(model.parameters()).device
        execution.require(self.device)
        self.model, self.optimizer, self.execution = model, optimizer, execution
        self.label_smoothing = label_smoothing
        if execution.channels_last:
            model.to(memory_format=torch.channels_last)
        self.compiled: Callable[[torch.Tensor], torch.Tensor] = (
            torch.compile(model) if execution.compile else model
        )
        self.recording = _Recording(self._full) if execution.cuda_graph else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=execution.precision == "fp16")
        self.shape: torch.Size | None = None  # of a full batch
        # summed on the device: reading a number after each batch would stall a GPU
        self.total_loss = torch.zeros((), device=self.device)
        self.total_correct = torch.zeros((), device=self.device)

    def reset(self) -> None:
        """Set the totals to zero; they stay where they are, because a recorded step adds to them."""
        self.total_loss.zero_()
        self.total_correct.zero_()

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, learning_rate: float) -> None:
        """Train on a batch: images (B, C, H, W), labels (B,). The totals grow by its loss and hits."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(learning_rate * group["factor"])
            else:
                group["lr"] = learning_rate * group["factor"]
        if self.execution.channels_last:
            images = images.to(memory_format=torch.channels_last)
        self.shape = self.shape or images.shape
        if images.shape != self.shape:
            self._update(self.model, images, labels)
        elif self.recording is not None:
            self.recording(images, labels)
        else:
            self._full(images, labels)

    def _full(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        try:
            self._update(self.compiled, images, labels)
        except RuntimeError as error:
            if not (self.execution.compile and isinstance(error, BackendCompilerFailed)):
                raise
            reason = str(error).splitlines()[0]
            raise InputError(
                f"torch.compile cannot translate the network here: {reason}; leave compile out"
            ) from None

    def _update(
        self,
        model: Callable[[torch.Tensor], torch.Tensor],
        images: torch.Tensor,
        labels: torch.Tensor,
    ) -> None:
        with self.execution.autocast(self.device):
            logits = model(images)  # (B, classes)
        logits = logits.float()
        loss, total = self.losses(logits, labels)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.total_loss += total
        self.total_correct += (logits.detach().argmax(1) == labels).sum()

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what a step descends on, the mean, and the sum over the batch."""
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        return loss, loss.detach() * len(labels)


class _Recording:
    """An update on batch buffers that stay where they are, recorded once and then replayed.

    References
    ----------
    PyTorch's notes on CUDA semantics, "Whole-network capture".
    """

    def __init__(self, update: Callable[[torch.Tensor, torch.Tensor], None]) -> None:
        self.update = update
        self.images, self.labels = torch.empty(0), torch.empty(0)
        self.replay: Callable[[], None] | None = None
        self.steps = 0

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        if self.steps == 0:
            self.images, self.labels = images.clone(), labels.clone()
        else:
            self.images.copy_(images)
            self.labels.copy_(labels)
        if self.steps < WARM_UP:
            aside(self._run)
        else:
            if self.replay is None:
                self.replay = record(self._run)
            self.replay()
        self.steps += 1

    def _run(self) -> None:
        self.update(self.images, self.labels)


def aside(run: Callable[[], None]) -> None:
    """Run on a stream of its own, as recording will, and let the current one wait for it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*capturable=True.*")  # it is not yet being captured
        run()
    torch.cuda.current_stream().wait_stream(stream)


def record(run: Callable[[], None]) -> Callable[[], None]:
    """Record the GPU's work without doing it; return what does it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay
