"""Training on one GPU: time to accuracy, what each technique brings, where time goes, and the roofline.

    python benchmarks/gpu.py                             everything, into results/gpu.json
    python benchmarks/gpu.py --only accuracy profile     these parts
    python benchmarks/gpu.py --dry-run --out PATH        every part in little, on the CPU

It needs torch, torchvision and this checkout on the path, no TensorFlow and no network, and takes less
than ten minutes on one H100. Each part runs in a process of its own and writes what it has as it goes:
started again, the command does what is missing, row by row. Without a GPU it measures nothing and says
so.

At the top of the file is what `measure.write` says of a measurement, and beside it

    dry_run   false; true only for a dry run, whose numbers mean nothing
    device    name, capability, memory_gib, multiprocessors, cuda, cudnn, and what nvidia-smi says:
              driver_version, clocks, power, temperature (as text with units)
    parts     part → what it found, with done, wall_seconds, commit and state_after (nvidia-smi);
              with failed, a line, if it broke off

The parts; a spread is values, median, mean and sd:

    accuracy    data_to_device_seconds; targets → "99.0 %" | "99.2 %" →
                  target, recipe, way, reached (by the mean), goal_seconds
                  test_accuracy (spread), standard_error
                  training_seconds, device_seconds (spreads): training alone, by both clocks
                  preparation_seconds: what was done once for all seeds, by name
                  runs: seed, test_correct, test_images, training_seconds, device_seconds
    profile     rule; rows: network, batch, way, step_seconds; of it device_seconds (at work) and
                  launch_seconds (of the host), busy_share, launch_share, verdict;
                  kernels, copies (per step), median_kernel_seconds, most_time (kernel, share);
                  or failed, a line
    roofline    peak_flops (precision → FLOP/s), bandwidth (bytes/s), ridge_flop_per_byte
                points: network, precision, batch, part ("step" or a layer), seconds, flop,
                  bytes, flop_per_byte, flop_per_second, peak_of (a precision),
                  roof_flop_per_second, share_of_roof, below_ridge
    techniques  rows: network, batch, way, changes, images_per_second, epoch_seconds (spread),
                  warm_up_seconds, capture_seconds, ratio_to → "DataLoader" |
                  "data on the device"; or failed, a line
    keras       rows: framework, batch, images_per_second, epoch_seconds (spread),
                  first_epoch_seconds, train_accuracy; keras, backend (which it really was);
                  or absent, why there are none
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import measure

PARTS = {  # by what is missed most when time runs out
    "accuracy": "gpu_parts.accuracy",
    "profile": "gpu_parts.profiling",
    "roofline": "gpu_parts.roofline",
    "techniques": "gpu_parts.techniques",
    "keras": "gpu_parts.keras_backend",
}
NEEDED = ("numpy", "torch", "torchvision", "tqdm", "safetensors")
SEEDS = list(range(20))


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing in the results file."""
    options = read(arguments)
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        stop(f"not installed here: {', '.join(absent)}; run: pip install {' '.join(absent)}")
    from mnist_course.pytorch import devices

    if not options.dry_run and devices.choose().type != "cuda":
        stop("no CUDA device here, so nothing was measured; --dry-run --out PATH tries it on the CPU")
    if options.part:
        sys.exit(not measured(options.part, Results(options), options))
    ends = time.perf_counter() + options.limit
    ended = [in_own_process(part, options, ends - time.perf_counter()) for part in options.only]
    sys.exit(not all(ended))


def read(arguments: list[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description="Measure training on one GPU.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="default: 0 to 19")
    parser.add_argument("--limit", type=float, default=570.0, help="seconds; default: %(default)s")
    parser.add_argument("--again", action="store_true", help="forget the parts that are there")
    parser.add_argument("--dry-run", action="store_true", help="every part in little, on the CPU")
    parser.add_argument("--out", type=Path, default=measure.RESULTS / "gpu.json", metavar="PATH")
    parser.add_argument("--commit", help="what is measured, where the checkout has no .git")
    parser.add_argument("--part", choices=PARTS, help="measure one part in this process")
    options = parser.parse_args(arguments)
    if options.dry_run and options.out.resolve().parent == measure.RESULTS.resolve():
        parser.error("a dry run is no result; give it another place with --out PATH")
    return options


def stop(reason: str) -> NoReturn:
    """End with one line and exit status 2."""
    print(f"gpu.py: {reason}", file=sys.stderr)
    sys.exit(2)


def in_own_process(part: str, options: argparse.Namespace, seconds: float) -> bool:
    """Measure a part where its failure cannot harm the others; return whether it ended well."""
    if seconds <= 0:
        print(f"{part}: no time left; run the command again", file=sys.stderr)
        return False
    command = [sys.executable, __file__, "--part", part, "--out", str(options.out)]
    command += ["--seeds", *map(str, options.seeds)]
    command += ["--dry-run"] if options.dry_run else []
    command += ["--again"] if options.again else []
    command += ["--commit", options.commit] if options.commit else []
    start = time.perf_counter()
    try:
        status = subprocess.run(command, check=False, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        print(f"{part}: stopped at the limit; run the command again to go on", file=sys.stderr)
        return False
    print(f"{part}: {time.perf_counter() - start:.0f} s, exit status {status}", file=sys.stderr)
    return status == 0


class Results:
    """The results file: every part as far as it has come."""

    def __init__(self, options: argparse.Namespace) -> None:
        from gpu_parts.machine import Machine

        self.options = options
        self.machine = Machine("cpu" if options.dry_run else "cuda")
        self.device = self.machine.describe()
        before = json.loads(options.out.read_text()) if options.out.exists() else {}
        if before and (before["dry_run"], before["seeds"]) != (options.dry_run, options.seeds):
            stop(f"{options.out} is of another run (dry, or with other seeds); give another --out")
        self.parts: dict[str, Any] = before.get("parts", {})

    def save(self, part: str, found: dict[str, Any]) -> None:
        """Add what was found to a part, and write the file."""
        self.parts[part] = self.parts.get(part, {}) | found
        words = [
            *(["--seeds", *map(str, self.options.seeds)] if self.options.seeds != SEEDS else []),
            *(["--dry-run", "--out", str(self.options.out)] if self.options.dry_run else []),
        ]
        body = {
            "dry_run": self.options.dry_run,
            "wall_seconds": round(sum(one.get("wall_seconds", 0.0) for one in self.parts.values()), 1),
            "device": self.device,
            "parts": {name: self.parts[name] for name in PARTS if name in self.parts},
            **({"commit": self.options.commit} if self.options.commit else {}),
        }
        packages = ["numpy", "torch", "torchvision"]
        seeds = self.options.seeds
        measure.write("gpu", body, packages, seeds=seeds, options=words, path=self.options.out)


def measured(part: str, results: Results, options: argparse.Namespace) -> bool:
    """Measure one part, or what is missing of it; return whether it is complete."""
    before = {} if options.again else results.parts.get(part, {})
    if before.get("done"):
        print(f"{part}: is there already; --again measures it anew", file=sys.stderr)
        return True
    results.parts[part] = {key: value for key, value in before.items() if key != "failed"}
    spent, start = before.get("wall_seconds", 0.0), time.perf_counter()

    def save(found: dict[str, Any]) -> None:
        results.save(part, {**found, "wall_seconds": spent + time.perf_counter() - start})

    try:
        import_module(PARTS[part]).part(results.machine, options.seeds, options.dry_run, save, before)
    except Exception as error:  # the file has to say what happened: nobody may be looking
        traceback.print_exc()
        save({"done": False, "failed": f"{type(error).__name__}: {error}"[:500]})
        return False
    commit = options.commit or measure.commit()
    save({"done": True, "commit": commit, "state_after": results.machine.state()})
    return True


if __name__ == "__main__":
    main()
