"""Where a step's time goes: whether the device is busy or waits for the host to launch its kernels.

The rule: a step is device-bound when the device works for nine tenths of the step's time or more; then
the roofline says whether it is arithmetic or memory. Otherwise it is launch-bound when the host needs
nine tenths of that time or more to launch the step, and latency-bound when it does not: then kernels
that are too short leave gaps between them, of whose launching nobody on the host knows.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from typing import Any

from gpu_parts.accuracy import Save
from gpu_parts.machine import Machine, busy
from gpu_parts.training import FASTEST, NETWORKS, Resident, Run, Step, Way, build, float32_arithmetic
from mnist_course.data import load_mnist

WAYS = {
    "plain": Way(),
    "bf16": Way(precision="bf16"),
    "CUDA graph": Way(graph=True),
    "all, without compile": FASTEST,
}
BATCHES = (128, 1024)
STEPS = 8  # so that their kernels fit into the device's queue, and the host need not wait for a place
MOST = 0.9  # of a step's time


def part(machine: Machine, seeds: list[int], dry: bool, save: Save, before: dict[str, Any]) -> None:
    """Profile a few steps of every way, network and batch size."""
    train = load_mnist("train")
    resident = Resident.of(train.subset(range(256)) if dry else train, machine)
    rows = list(before.get("rows", []))
    there = {(row["network"], row["batch"], row["way"]) for row in rows}
    for network, batch, (label, way) in itertools.product(
        NETWORKS, (32,) if dry else BATCHES, WAYS.items()
    ):
        if (network, batch, label) not in there:
            found = profiled(machine, network, batch, way, resident, seeds[0])
            rows.append({"network": network, "batch": batch, "way": label, **found})
            save({"rule": {"most": MOST}, "rows": rows})


def profiled(
    machine: Machine, network: str, batch: int, way: Way, data: Resident, seed: int
) -> dict[str, Any]:
    """Return kernels and seconds per step, the device's busy share, and the verdict.

    The share is the kernels' time under the profiler over a step's time without it, because a profiler
    slows the host and not the device.
    """
    with float32_arithmetic(way):
        run = Run(Step(build(network, seed=seed), machine, way), data, batch)
        graphed = run.prepare()

        def several() -> None:
            run.position.zero_()
            for _ in range(STEPS):
                graphed.replay()

        wall = statistics.median(machine.seconds(several)) / STEPS
        told = statistics.median(machine.launching(several) for _ in range(machine.rounds)) / STEPS
        machine.kernels(several)  # the first time, the profiler starts up
        kernels = machine.kernels(several)
    found: dict[str, Any] = {"step_seconds": wall, "launch_seconds": told}
    if not kernels:
        return found | {"failed": "the profiler saw no work of the device"}
    working = busy(kernels) / STEPS
    busy_share, launch_share = min(1.0, working / wall), min(1.0, told / wall)
    spent: Counter[str] = Counter()
    for kernel in kernels:
        spent[kernel.name] += kernel.end - kernel.start
    total = sum(spent.values())
    return found | {
        "device_seconds": working,
        "busy_share": busy_share,
        "launch_share": launch_share,
        "verdict": verdict(busy_share, launch_share),
        "kernels": round(len(kernels) / STEPS, 1),
        "copies": round(sum(one.name.startswith(("Memcpy", "Memset")) for one in kernels) / STEPS, 1),
        "median_kernel_seconds": statistics.median(one.end - one.start for one in kernels),
        "most_time": [
            {"kernel": name[:80], "share": seconds / total} for name, seconds in spent.most_common(5)
        ],
    }


def verdict(busy_share: float, launch_share: float) -> str:
    """Say what bounds a step, by the shares of its time that the device works and the host launches."""
    if busy_share >= MOST:
        return "device-bound"
    return "launch-bound" if launch_share >= MOST else "latency-bound"
