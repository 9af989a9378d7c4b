"""The device that is measured: its clock, its graphs, its profile and its name.

Everything that only a CUDA device has is behind these methods. On a CPU each of them does the same work
the plain way: that is what lets a test on any machine go through all of the benchmark.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from mnist_course.pytorch.execution import WARM_UP, aside, record

Action = Callable[[], object]

QUERIES = ("driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.draw", "temperature.gpu")


@dataclass(frozen=True)
class Graphed:
    """An action that can be repeated by one call, and what it cost to make it so."""

    replay: Action
    warm_up_seconds: float
    capture_seconds: float


@dataclass(frozen=True)
class Kernel:
    """One piece of work of the device, in seconds on the device's clock."""

    name: str
    start: float
    end: float


class Machine:
    """A device, ``"cuda"`` or ``"cpu"``."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.cuda = self.device.type == "cuda"
        # what the CPU's dry run gets through in a second; there is nothing to be learnt from its code
        self.compiler = "inductor" if self.cuda else "eager"
        self.rounds = 5 if self.cuda else 1
        self.capturable = {"capturable": True} if self.cuda else {}  # optimizers refuse it on a CPU

    def synchronize(self) -> None:
        """Wait until the device has done all it was told to do."""
        if self.cuda:
            torch.cuda.synchronize()

    def timed(self, action: Action) -> tuple[float, float]:
        """Run `action` once; return its seconds on the host's clock and on the device's.

        The host's start before the first and end after the last work of the device.
        """
        self.synchronize()
        if not self.cuda:
            start = time.perf_counter()
            action()
            spent = time.perf_counter() - start
            return spent, spent
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start = time.perf_counter()
        first.record()
        action()
        last.record()
        torch.cuda.synchronize()
        return time.perf_counter() - start, first.elapsed_time(last) / 1000  # from milliseconds

    def launching(self, action: Action) -> float:
        """Run `action` once; return the host's seconds until it had told the device all of it."""
        self.synchronize()
        start = time.perf_counter()
        action()
        told = time.perf_counter()
        self.synchronize()
        return told - start

    def seconds(self, action: Action, *, calls: int = 1) -> list[float]:
        """Return the host's seconds for one call of `action`, one mean over `calls` for every round.

        They are preceded by a round that is not counted.
        """

        def several() -> None:
            for _ in range(calls):
                action()

        several()
        return [self.timed(several)[0] / calls for _ in range(self.rounds)]

    def graphed(self, action: Action) -> Graphed:
        """Record what `action` tells the device to do, so that a replay does it without the host.

        The action is run a few times first, which changes what it changes: the caller starts afresh.
        Its tensors have to stay where they are.
        """
        start = time.perf_counter()
        for _ in range(WARM_UP):
            aside(action) if self.cuda else action()
        self.synchronize()
        warm = time.perf_counter()
        replay = record(action) if self.cuda else action
        self.synchronize()
        return Graphed(replay, warm - start, time.perf_counter() - warm)

    def kernels(self, action: Action) -> list[Kernel]:
        """Run `action` under PyTorch's profiler and return the work of the device, in order.

        On a CPU the innermost operations stand in for kernels.
        """
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self.cuda else [])]
        with profile(activities=activities) as profiler:
            action()
            self.synchronize()
        wanted = DeviceType.CUDA if self.cuda else DeviceType.CPU
        found = [
            Kernel(event.name, event.time_range.start / 1e6, event.time_range.end / 1e6)
            for event in profiler.events()
            if event.device_type == wanted
            and not event.is_user_annotation  # such as an optimizer's step around its own kernels
            and (self.cuda or (event.name.startswith("aten::") and not event.cpu_children))
        ]
        return sorted(found, key=lambda kernel: kernel.start)

    def autocast(self, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
        """Return the context in which `dtype` is used where it is safe; ``None`` changes nothing.

        Without the cache of cast weights: every weight is used once a step, and a graph must not keep
        what was cast outside of it.
        """
        return torch.autocast(
            self.device.type, dtype or torch.bfloat16, enabled=dtype is not None, cache_enabled=False
        )

    def describe(self) -> dict[str, Any]:
        """Return the device's name and size, and the versions it runs on."""
        if not self.cuda:
            return {"name": "CPU", "threads": torch.get_num_threads()}
        properties = torch.cuda.get_device_properties(self.device)
        return {
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "multiprocessors": properties.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            **self.state(),
        }

    def state(self) -> dict[str, str]:
        """Return driver, clocks, power and temperature as nvidia-smi reports them, if it is there."""
        program = shutil.which("nvidia-smi")
        if not self.cuda or program is None:
            return {}
        asked = [program, f"--query-gpu={','.join(QUERIES)}", "--format=csv,noheader", "--id=0"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30)
        values = answer.stdout.strip().split(", ")
        return dict(zip(QUERIES, values, strict=True)) if len(values) == len(QUERIES) else {}


def busy(kernels: list[Kernel]) -> float:
    """Return the seconds in which at least one kernel ran.

    >>> busy([Kernel("a", 0.0, 2.0), Kernel("b", 1.0, 3.0), Kernel("c", 5.0, 6.0)])
    4.0
    """
    total, reached = 0.0, float("-inf")
    for kernel in sorted(kernels, key=lambda one: one.start):
        total += max(0.0, kernel.end - max(kernel.start, reached))
        reached = max(reached, kernel.end)
    return total


def median_rate(work: float, seconds: list[float]) -> float:
    """Return work per second at the median of `seconds`."""
    return work / statistics.median(seconds)
