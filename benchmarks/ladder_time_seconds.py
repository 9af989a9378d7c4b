"""How long each rung of `ladder_time.py` trains, side by side, and where that time goes (chapter 12).

Every rung is timed in a process of its own, and the rungs take turns, so that a busy minute of the
machine hits all. A run that would take longer than `BUDGET` seconds is timed over its first steps and
scaled up to all of them; ``share_timed`` says how much was timed.

Timed is what turns the bytes of the 60,000 images into a trained network: making the tensors, taking the
steps. Not timed: starting Python, reading the data file, and a few steps on other data beforehand, in
which libraries choose their algorithms (``warm_up_seconds``).

The file holds

    rungs → name → seconds (values, median, mean, sd), ratio (to rung 0, of the medians), share_timed,
                   warm_up_seconds, images_per_second, flop (of the whole run), gemm_seconds, profile
    gemm → float32, bf16: FLOP/s of a matrix product of 2048 × 2048, measured in the same rounds

``gemm_seconds`` is what the run's arithmetic alone would take at that rate: the limit. ``profile`` is
the share of the processor's time per kind of work.
"""

import statistics
import time
from typing import Any

import measure  # before torch: it sets the number of threads
import torch
from ladder_time import Run, flop, rungs
from torch.profiler import ProfilerActivity, profile

from mnist_course.data import load_mnist

BUDGET = 10.0
GEMM = {"gemm float32": torch.float32, "gemm bf16": torch.bfloat16}
KINDS = {
    "convolution": ("convolution",),
    "pooling": ("max_pool2d",),
    "batch normalization": ("batch_norm",),
    "activation": ("threshold", "clamp", "relu"),
    "linear layers": ("aten::mm", "aten::addmm"),
    "optimizer": ("fused_adam", "foreach", "optimizer"),
    "batches": ("aten::index", "dataloader", "grid_sampler"),
}
"""What a kind of work is called in PyTorch's profile; the rest is "other"."""


def gemm(dtype: torch.dtype) -> dict[str, Any]:
    """Return the rate of a large matrix product in FLOP/s."""
    a, b = (torch.randn(2048, 2048, dtype=dtype) for _ in range(2))
    return {"flop_per_second": 2 * 2048**3 / measure.seconds(lambda: a @ b)}


def rung(name: str) -> dict[str, Any]:
    """Time one rung, count its arithmetic and profile some of its steps."""
    recipe = rungs()[name]
    train = load_mnist("train")
    some = train.subset(range(0, 60_000, 10))
    start = time.perf_counter()
    Run(recipe, some, seed=1).train(3)
    warm_up = time.perf_counter() - start
    start = time.perf_counter()
    trial = Run(recipe, some, seed=1)
    trial.train(20)
    per_step = (time.perf_counter() - start) / 20

    start = time.perf_counter()
    run = Run(recipe, train, seed=0)
    prepared = time.perf_counter()
    timed = max(1, min(run.steps, int(BUDGET / per_step)))
    run.train(timed)
    stepping = time.perf_counter() - prepared
    whole = prepared - start + stepping * run.steps / timed
    return {
        "seconds": whole,
        "share_timed": timed / run.steps,
        "warm_up_seconds": warm_up,
        "images_per_second": timed * recipe["batch_size"] / stepping,
        "flop": flop(recipe, train),
        "profile": shares(trial),
    }


def shares(run: Run) -> dict[str, float]:
    """Return the share of each kind of work in the time of 20 steps."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run.train(20)
    spent = dict.fromkeys([*KINDS, "other"], 0.0)
    for event in profiled.key_averages():
        key = event.key.lower()
        kind = next((k for k, parts in KINDS.items() if any(p in key for p in parts)), "other")
        spent[kind] += event.self_cpu_time_total
    return {kind: value / sum(spent.values()) for kind, value in spent.items()}


def measure_peer(name: str) -> dict[str, Any]:
    """Measure a rung or a matrix product."""
    return gemm(GEMM[name]) if name in GEMM else rung(name)


def main() -> None:
    """Take the rounds and write the results file."""
    names = [*rungs()]
    rounds = measure.peers_in_turn(__file__, __doc__, [*GEMM, *names], measure_peer, rounds=3)
    rates = {
        name.removeprefix("gemm "): statistics.median(one["flop_per_second"] for one in rounds[name])
        for name in GEMM
    }
    body = {}
    for name in names:
        found = rounds[name]
        middle = {
            key: statistics.median(one[key] for one in found)
            for key in ("share_timed", "warm_up_seconds", "images_per_second", "flop")
        }
        body[name] = {
            "seconds": measure.spread([one["seconds"] for one in found]),
            **middle,
            "gemm_seconds": middle["flop"] / rates[rungs()[name]["precision"]],
            "profile": found[-1]["profile"],
        }
    first = body[names[0]]["seconds"]["median"]
    for entry in body.values():
        entry["ratio"] = first / entry["seconds"]["median"]
    measure.write(
        "ladder_time_seconds",
        {"rungs": body, "gemm": rates},
        ["mnist-course", "numpy", "torch", "torchvision"],
        seeds=[0],
    )
    head = ["rung", "seconds", "sd", "ratio", "of gemm"]
    rows = [
        [
            name,
            f"{entry['seconds']['median']:.2f}",
            f"{entry['seconds']['sd']:.2f}",
            f"{entry['ratio']:.1f}",
            f"{entry['gemm_seconds'] / entry['seconds']['median']:.0%}",
        ]
        for name, entry in body.items()
    ]
    print(measure.table(head, rows))


if __name__ == "__main__":
    main()
