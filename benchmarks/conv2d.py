"""`conv2d` forward and backward beside PyTorch, SciPy and the loops.

`python benchmarks/conv2d.py` prints the table and writes results/conv2d.json. Each peer gets
contiguous arrays in its own order: (N, H, W, C) here, (N, C, H, W) in PyTorch. SciPy and the
loops have no backward; where a whole batch would take minutes they get fewer images, and the time
is scaled up in proportion (`images` in the results says how many they got).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import measure
import numpy as np

PEERS = ["numpy", "pytorch", "rows", "fft", "scipy", "loops", "rates"]
ROUNDS = 5
SEED = 0


@dataclass(frozen=True)
class Case:
    """Sizes of one convolution."""

    batch: int
    size: int
    channels: int
    outputs: int
    kernel: int
    padding: int
    dtype: str

    def arrays(self, batch: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return images, kernels and bias; with `batch`, of fewer images."""
        rng = np.random.default_rng(SEED)
        shapes = (
            (batch or self.batch, self.size, self.size, self.channels),
            (self.kernel, self.kernel, self.channels, self.outputs),
            (self.outputs,),
        )
        images, kernels, bias = (rng.uniform(-1, 1, shape).astype(self.dtype) for shape in shapes)
        return images, kernels, bias

    @property
    def multiply_adds(self) -> int:
        """Count the multiplications of the forward pass."""
        side = self.size + 2 * self.padding - self.kernel + 1
        return self.batch * side**2 * self.kernel**2 * self.channels * self.outputs


CASES = {
    "LeNet-5 layer 1, 64x28x28x1, 5x5, 6": Case(64, 28, 1, 6, 5, 2, "float32"),
    "LeNet-5 layer 2, 64x14x14x6, 5x5, 16": Case(64, 14, 6, 16, 5, 0, "float32"),
    "64x28x28x32, 3x3, 64": Case(64, 28, 32, 64, 3, 1, "float32"),
    "100x32x32x8, 3x3, 16, float64": Case(100, 32, 8, 16, 3, 0, "float64"),
}


def numpy_times(case: Case) -> dict[str, float]:
    from mnist_course.scratch import conv2d, conv2d_backward

    images, kernels, bias = case.arrays()
    d_out = np.ones_like(np.ascontiguousarray(conv2d(images, kernels, bias, padding=case.padding)))

    def forward() -> None:
        conv2d(images, kernels, bias, padding=case.padding)

    def both() -> None:
        forward()
        conv2d_backward(d_out, images, kernels, padding=case.padding)

    return timed(forward, both)


def pytorch_times(case: Case) -> dict[str, float]:
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(int(measure.THREADS))
    images, kernels, bias = case.arrays()
    inputs = [
        torch.tensor(images).permute(0, 3, 1, 2).contiguous().requires_grad_(),
        torch.tensor(kernels).permute(3, 2, 0, 1).contiguous().requires_grad_(),
        torch.tensor(bias).requires_grad_(),
    ]
    d_out = torch.ones_like(F.conv2d(*inputs, padding=case.padding))

    def forward() -> None:
        with torch.no_grad():
            F.conv2d(*inputs, padding=case.padding)

    def both() -> None:
        torch.autograd.grad(F.conv2d(*inputs, padding=case.padding), inputs, d_out)

    return timed(forward, both)


def rows_times(case: Case) -> dict[str, float]:
    """Time im2col with one row for each position, whatever the number of channels."""
    from mnist_course.scratch import conv_rows
    from mnist_course.scratch.geometry import resolve

    images, kernels, bias = case.arrays()
    sizes = (case.size, case.size), (case.kernel, case.kernel)
    geometry = resolve(*sizes, padding=case.padding)

    d_out = np.ones_like(conv_rows.forward(images, kernels, geometry))

    def forward() -> None:
        conv_rows.forward(images, kernels, geometry) + bias

    def both() -> None:
        forward()
        conv_rows.backward(d_out, images, kernels, geometry)
        d_out.sum(axis=(0, 1, 2))

    return timed(forward, both)


def method_times(case: Case, method: str) -> dict[str, float]:
    from mnist_course.scratch import conv2d

    # about a million multiply-adds for the loops, the whole batch for the others
    count = max(1, case.batch * 10**6 // case.multiply_adds) if method == "loops" else case.batch
    images, kernels, bias = case.arrays(count)
    result = timed(lambda: conv2d(images, kernels, bias, padding=case.padding, method=method))  # type: ignore[arg-type]
    return {"forward": result["forward"] * case.batch / count, "images": count}


def scipy_times(case: Case) -> dict[str, float]:
    from scipy.signal import correlate

    count = min(case.batch, 8)
    images, kernels, _ = case.arrays(count)
    p = case.padding

    def forward() -> None:
        padded = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)))
        for o in range(case.outputs):
            correlate(padded, kernels[None, :, :, :, o], mode="valid")

    return {"forward": timed(forward)["forward"] * case.batch / count, "images": count}


def rates() -> dict[str, float]:
    """Return FLOP/s of a large product in both precisions."""
    result = {}
    for dtype in ("float32", "float64"):
        a = np.random.default_rng(SEED).random((2048, 2048)).astype(dtype)
        result[dtype] = 2 * 2048**3 / measure.seconds(lambda a=a: np.matmul(a, a), repeats=10)
    return result


def timed(forward: Callable[[], None], both: Callable[[], None] | None = None) -> dict[str, float]:
    times = {"forward": measure.seconds(forward, repeats=60)}
    if both is not None:
        times["forward and backward"] = measure.seconds(both, repeats=60)
    return times


def measure_peer(peer: str) -> dict[str, object]:
    if peer == "rates":
        return dict(rates())
    function = {
        "numpy": numpy_times,
        "pytorch": pytorch_times,
        "rows": rows_times,
        "fft": lambda case: method_times(case, "fft"),
        "loops": lambda case: method_times(case, "loops"),
        "scipy": scipy_times,
    }[peer]
    return {name: function(case) for name, case in CASES.items()}


def main() -> None:
    runs = measure.peers_in_turn(__file__, __doc__, PEERS, measure_peer, rounds=ROUNDS)
    speeds = {d: measure.spread([run[d] for run in runs["rates"]]) for d in ("float32", "float64")}
    cases, rows = {}, []
    for name, case in CASES.items():
        times = {
            peer: {
                part: measure.spread([run[name][part] for run in runs[peer]])
                for part in runs[peer][0][name]
                if part != "images"
            }
            | {"images": runs[peer][0][name].get("images", case.batch)}
            for peer in PEERS[:-1]
        }
        both = "forward and backward"
        ratio = measure.spread(
            [a[name][both] / b[name][both] for a, b in zip(runs["numpy"], runs["pytorch"], strict=True)]
        )
        ours = times["numpy"]
        to_loops = times["loops"]["forward"]["median"] / ours["forward"]["median"]
        rate = 6 * case.multiply_adds / ours[both]["median"] / speeds[case.dtype]["median"]
        cases[name] = {
            "multiply_adds": case.multiply_adds,
            "times": times,
            "ratio_to_pytorch": ratio,
            "times_faster_than_loops": to_loops,
            "share_of_gemm_rate": rate,
        }
        rows.append(
            [
                name,
                *(f"{times[peer]['forward']['median'] * 1e3:.2f}" for peer in PEERS[:-1]),
                *(f"{times[peer][both]['median'] * 1e3:.2f}" for peer in PEERS[:3]),
                f"{ratio['median']:.2f}",
                f"{to_loops:,.0f}",
                f"{rate:.0%}",
            ]
        )
    body = {
        "rounds": len(runs[PEERS[0]]),
        "unit": "seconds for the whole batch; every value is a round's median",
        "gemm_flops": speeds,
        "cases": cases,
    }
    path = measure.write("conv2d", body, ["numpy", "scipy", "torch"], seeds=[SEED])
    head = [
        "ms",
        *PEERS[:-1],
        "numpy f+b",
        "pytorch f+b",
        "rows f+b",
        "ratio",
        "x loops",
        "of gemm rate",
    ]
    print(measure.table(head, rows))
    for dtype, speed in speeds.items():
        print(f"large {dtype} product: {speed['median'] / 1e9:.0f} GFLOP/s")
    print(f"wrote results/{path.name}")


if __name__ == "__main__":
    main()
