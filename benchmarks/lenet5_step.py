"""One LeNet-5 training step (forward, backward, Adam), NumPy beside PyTorch eager.

`python benchmarks/lenet5_step.py` prints the table and writes results/lenet5_step.json. The batch
is in memory; the peers take turns in processes of their own, with the same number of threads.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import measure
import numpy as np

PEERS = ["numpy", "numpy plain", "pytorch", "sgemm", "where", "memory numpy", "memory pytorch"]
ROUNDS = 7
SEED = 0
BATCHES = [64, 256]
MULTIPLY_ADDS = 416_520  # forward, for one image: `print(lenet5().summary())`
FIRST_LAYER = 117_600  # its input gradient is not needed


def batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    return rng.random((size, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, size)


def numpy_step(size: int, *, fuse: bool = True) -> Callable[[], object]:
    from mnist_course.scratch import Adam, Sequential, cross_entropy_and_gradient, lenet5

    built = lenet5(SEED)
    network = Sequential(built.layers, built.input_shape, fuse=fuse)
    optimizer = Adam(network.parameters())
    images, labels = batch(size)

    def step() -> None:
        logits = network.forward(images, training=True)
        _, d_logits = cross_entropy_and_gradient(logits, labels)
        network.backward_parameters(d_logits)
        optimizer.step(network.gradients())

    return step


def pytorch_step(size: int) -> Callable[[], object]:
    import torch
    from torch.nn import functional as F

    from mnist_course import build

    torch.set_num_threads(int(measure.THREADS))
    network = build("lenet5", "pytorch", seed=SEED)
    optimizer = torch.optim.Adam(network.parameters())
    images, labels = batch(size)
    inputs, targets = torch.tensor(images).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), targets).backward()
        optimizer.step()

    return step


def sgemm_rate() -> float:
    """Return the FLOP/s of a large float32 product in NumPy."""
    a = np.random.default_rng(SEED).random((2048, 2048), dtype=np.float32)
    return 2 * 2048**3 / measure.seconds(lambda: np.matmul(a, a), repeats=20)


def where_time_goes() -> dict[str, float]:
    """Return the share of a step spent in matrix products and in copying columns; and the rest.

    The functions are wrapped with a clock, which costs a few percent: shares, not times. A step
    with one image has hardly any arithmetic; it shows what the calls themselves cost.
    """
    from mnist_course.scratch import conv

    whole = measure.seconds(numpy_step(64), repeats=300)
    single = measure.seconds(numpy_step(1), repeats=300)
    spent = dict.fromkeys(("matrix products", "columns"), 0.0)

    def clocked(function: Callable[..., object], part: str) -> Callable[..., object]:
        def run(*arguments: object, **options: object) -> object:
            start = time.perf_counter()
            result = function(*arguments, **options)
            spent[part] += time.perf_counter() - start
            return result

        return run

    originals = np.matmul, conv.im2col, conv.col2im, conv.pad
    np.matmul = clocked(np.matmul, "matrix products")  # type: ignore[assignment]
    conv.im2col, conv.col2im, conv.pad = (clocked(function, "columns") for function in originals[1:])  # type: ignore[assignment]
    step = numpy_step(64)
    for _ in range(30):
        step()
    spent |= dict.fromkeys(spent, 0.0)
    start = time.perf_counter()
    for _ in range(200):
        step()
    total = time.perf_counter() - start
    np.matmul, conv.im2col, conv.col2im, conv.pad = originals
    shares = {part: time_spent / total for part, time_spent in spent.items()}
    shares["everything else"] = 1 - sum(shares.values())
    return {**shares, "calls alone (a step with one image)": single / whole}


def peak_megabytes(peer: str) -> float:
    """Return the peak memory of the whole process after steps with 256 images."""
    step = {"numpy": numpy_step, "pytorch": pytorch_step}[peer](256)
    for _ in range(5):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_peer(peer: str) -> dict[str, float]:
    if peer == "sgemm":
        return {"flops": sgemm_rate()}
    if peer == "where":
        return where_time_goes()
    if peer.startswith("memory"):
        return {"megabytes": peak_megabytes(peer.split()[1])}
    make = {
        "numpy": numpy_step,
        "numpy plain": lambda size: numpy_step(size, fuse=False),
        "pytorch": pytorch_step,
    }[peer]
    return {str(size): measure.seconds(make(size), repeats=300) for size in BATCHES}


def main() -> None:
    runs = measure.peers_in_turn(__file__, __doc__, PEERS, measure_peer, rounds=ROUNDS)
    times = {
        peer: {str(b): measure.spread([run[str(b)] for run in runs[peer]]) for b in BATCHES}
        for peer in ("numpy", "numpy plain", "pytorch")
    }
    ratios = {  # within a round, so that a slow minute is not held against one peer
        peer: {
            str(b): measure.spread(
                [a[str(b)] / t[str(b)] for a, t in zip(runs[peer], runs["pytorch"], strict=True)]
            )
            for b in BATCHES
        }
        for peer in ("numpy", "numpy plain")
    }
    rate = measure.spread([run["flops"] for run in runs["sgemm"]])
    work = 2 * (3 * MULTIPLY_ADDS - FIRST_LAYER)
    body = {
        "rounds": len(runs[PEERS[0]]),
        "unit": "seconds per step; every value is a round's median",
        "step": times,
        "ratio_to_pytorch": ratios,
        "sgemm_flops": rate,
        "step_flops_per_image": work,
        "share_of_sgemm_rate": 64 * work / times["numpy"]["64"]["median"] / rate["median"],
        "where": {
            part: statistics.median(run[part] for run in runs["where"]) for part in runs["where"][0]
        },
        "peak_megabytes_batch_256": {
            peer: measure.spread([run["megabytes"] for run in runs[f"memory {peer}"]])
            for peer in ("numpy", "pytorch")
        },
    }
    path = measure.write("lenet5_step", body, ["numpy", "torch"], seeds=[SEED])
    rows = [
        [
            peer,
            *(
                f"{times[peer][str(b)]['median'] * 1e3:.2f} ± {times[peer][str(b)]['sd'] * 1e3:.2f}"
                for b in BATCHES
            ),
            *(f"{ratios[peer][str(b)]['median']:.2f}" if peer in ratios else "" for b in BATCHES),
        ]
        for peer in times
    ]
    head = ["LeNet-5 step, ms", *(f"batch {b}" for b in BATCHES), *(f"/ PyTorch, {b}" for b in BATCHES)]
    print(measure.table(head, rows))
    print(f"\nsgemm {rate['median'] / 1e9:.0f} GFLOP/s; the step runs at", end=" ")
    print(f"{body['share_of_sgemm_rate']:.0%} of it")
    for part, share in body["where"].items():
        print(f"  {part}: {share:.0%}")
    for peer, memory in body["peak_megabytes_batch_256"].items():
        print(f"peak memory, batch 256, {peer}: {memory['median']:.0f} MB, whole process")
    print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path.name}")


if __name__ == "__main__":
    main()
