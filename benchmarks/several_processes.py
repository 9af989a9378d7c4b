"""Training on two processes beside one: images per second, and what the gradients' way costs.

`python benchmarks/several_processes.py` prints the table and writes results/several_processes.json. On a
machine of two cores the question is which way uses them better, two threads in one process or two
processes with a thread each. Both take the same steps, on batches of the same size over all processes.

One process trains with `training.fit`, two with `distributed.fit`. The same two processes also train
without exchanging gradients, which is no training worth having but tells what the exchange costs.
Networks and batches differ in how much there is to compute for each byte of gradient.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import measure

# way → processes, threads of each
WAYS = {
    "1 process, 1 thread": (1, 1),
    "1 process, 2 threads": (1, 2),
    "2 processes, 1 thread each": (2, 1),
}
SILENT = "2 processes, no exchange"
BASE = next(iter(WAYS))
# network, examples in a batch over all processes, training images
CASES = [
    ("lenet5", 64, 6_400),
    ("lenet5", 512, 12_800),
    ("dense_cnn", 64, 3_200),
    ("dense_cnn", 512, 6_144),
]
ROUNDS = 5
EPOCHS = 4  # the first one warms up
SEED = 0


def measure_way(way: str) -> dict[str, Any]:
    """Start the processes and return what the first of them measured, case by case."""
    processes, threads = WAYS[way]
    torchrun = Path(sys.executable).parent / "torchrun"
    command = [str(torchrun), "--standalone", f"--nproc-per-node={processes}", __file__]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TQDM_DISABLE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def work() -> None:
    """Train every case as one of the processes; the first one prints the seconds of a step as JSON."""
    from mnist_course.pytorch.processes import joined

    with joined("cpu", advice="measure again") as group:
        found = {}
        for case in CASES:
            step = seconds_of_step(case, alone=group.world == 1)
            found[label(case)] = {"step": step}
            if group.world > 1:
                found[label(case)]["silent_step"] = seconds_of_step(case, alone=False, silent=True)
                found[label(case)]["all_reduce"] = seconds_of_all_reduce(parameters(case[0]))
        if group.rank == 0:
            print(json.dumps(found))


def seconds_of_step(case: tuple[str, int, int], *, alone: bool, silent: bool = False) -> float:
    """Return the median over the epochs of an epoch's seconds per batch."""
    from mnist_course import build
    from mnist_course.data import load_mnist
    from mnist_course.pytorch import distributed, training

    class Silent(distributed._ShardTrainer):
        """Each process goes its own way."""

        def train_epoch(self, epoch: int, advance: Any) -> tuple[float, float]:
            with self.step.model.no_sync():
                return super().train_epoch(epoch, advance)

    name, batch_size, images = case
    options: dict[str, Any] = {"epochs": EPOCHS, "batch_size": batch_size, "seed": SEED}
    if silent:
        options["trainer"] = Silent
    fit = training.fit if alone or silent else distributed.fit
    data = load_mnist("train").subset(range(images))
    network = build(name, "pytorch", seed=SEED)
    history = fit(network, data, **options, device="cpu", progress=False)
    return statistics.median(history.seconds[1:]) * batch_size / images


def seconds_of_all_reduce(numbers: int, *, repeats: int = 100) -> float:
    """Return the median time to sum as many float32 numbers over the processes."""
    import torch
    from torch import distributed as dist

    gradient = torch.zeros(numbers)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        dist.all_reduce(gradient)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def parameters(name: str) -> int:
    from mnist_course import build

    return sum(one.numel() for one in build(name, "pytorch").parameters())


def label(case: tuple[str, int, int]) -> str:
    name, batch_size, _ = case
    return f"{name}, batch {batch_size}"


def summarised(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return case → what is exchanged, and way → seconds per step, images per second, ratio."""
    cases = {}
    for case in CASES:
        name, batch_size, images = case
        steps = {way: [one[label(case)]["step"] for one in rounds[way]] for way in WAYS}
        two = [one[label(case)] for one in rounds[list(WAYS)[-1]]]
        steps[SILENT] = [one["silent_step"] for one in two]
        cases[label(case)] = {
            "training_images": images,
            "gradient_bytes": 4 * parameters(name),
            "all_reduce_seconds": measure.spread([one["all_reduce"] for one in two]),
            # of a step on two processes: what goes when nothing is exchanged, waiting included
            "exchange_share": measure.spread([1 - one["silent_step"] / one["step"] for one in two]),
            "ways": {
                way: {
                    "step_seconds": measure.spread(seconds),
                    "images_per_second": measure.spread([batch_size / one for one in seconds]),
                    "speed_up": measure.spread(
                        [base / one for base, one in zip(steps[BASE], seconds, strict=True)]
                    ),
                }
                for way, seconds in steps.items()
            },
        }
    return cases


def report(cases: dict[str, Any]) -> str:
    """Return the table: a row for each case and way."""
    rows = []
    for text, case in cases.items():
        for way, found in case["ways"].items():
            median = {key: one["median"] for key, one in found.items()}
            rows.append(
                [
                    f"{text}: {way}",
                    f"{median['images_per_second']:.0f}",
                    f"{1e3 * median['step_seconds']:.2f}",
                    f"{median['speed_up']:.2f}",
                ]
            )
    table = measure.table(["", "images/s", "ms per step", "speed-up"], rows)
    exchanged = [
        f"{text}: {case['gradient_bytes'] / 1024:.0f} KiB of gradient per step,"
        f" {1e3 * case['all_reduce_seconds']['median']:.2f} ms to sum them alone;"
        f" the exchange is {case['exchange_share']['median']:.0%} of a step"
        for text, case in cases.items()
    ]
    return "\n".join([table, *exchanged])


def main() -> None:
    rounds = measure.peers_in_turn(__file__, __doc__, list(WAYS), measure_way, rounds=ROUNDS)
    cases = summarised(rounds)
    body = {"unit": "seconds per step", "epochs": EPOCHS, "cases": cases}
    measure.write("several_processes", body, ["mnist-course", "numpy", "torch"], seeds=[SEED])
    print(report(cases))


if __name__ == "__main__":
    if "RANK" in os.environ:  # torchrun started this
        work()
    else:
        main()
