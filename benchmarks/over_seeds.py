"""Train one recipe of the PyTorch wing with several seeds and record the test accuracies.

The recipe is fixed before any run, so the test images are opened once per seed, at the end, and decide
nothing. A results file can be filled in several goes: seeds it holds already are not run again.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from pathlib import Path
from typing import Any

import torch

from mnist_course.data import load_mnist
from mnist_course.errors import InputError
from mnist_course.files import atomic_write
from mnist_course.models import build
from mnist_course.pytorch.training import evaluate, fit

HERE = Path(__file__).parent


def surroundings() -> dict[str, Any]:
    """Say on what a measurement was taken: processor, cores, threads, versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    packages = ("mnist-course", "numpy", "torch")
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def commit() -> str:
    """Return the commit that is checked out, marked if the package or a benchmark differs from it."""

    def git(*command: str) -> str:
        done = subprocess.run(["git", *command], cwd=HERE, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "*.py", "../mnist_course")
    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")


def run(seed: int, recipe: dict[str, Any]) -> dict[str, Any]:
    """Train on all 60,000 training images, then open the 10,000 test images once."""
    train, test = load_mnist("train"), load_mnist("test")
    settings = {name: value for name, value in recipe.items() if name != "model"}
    model = build(recipe["model"], "pytorch", seed=seed)
    history = fit(model, train, seed=seed, device="cpu", **settings)
    result = evaluate(model, test)
    return {
        "seed": seed,
        "test_correct": result.correct,
        "test_images": len(test),
        "train_loss": history.train_loss,
        "train_accuracy": history.train_accuracy,
        "seconds": history.seconds,
        "commit": commit(),
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Mean, sample standard deviation between seeds, extremes, and seconds per epoch."""
    accuracies = [run["test_correct"] / run["test_images"] for run in runs]
    return {
        "seeds": len(runs),
        "test_accuracy_mean": statistics.mean(accuracies),
        "test_accuracy_std": statistics.stdev(accuracies) if len(runs) > 1 else 0.0,
        "test_accuracy_min": min(accuracies),
        "test_accuracy_max": max(accuracies),
        "seconds_per_epoch_median": statistics.median(s for run in runs for s in run["seconds"]),
    }


def main(name: str, recipe: dict[str, Any]) -> None:
    """Run the seeds that are missing in ``results/NAME.json`` and write it anew after each."""
    parser = argparse.ArgumentParser(description=f"Measure {name} over seeds.")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(10), help="default: 0 to 9")
    parser.add_argument("--out", type=Path, default=HERE / "results" / f"{name}.json")
    options = parser.parse_args()
    torch.set_num_threads(2)

    head = {
        "command": f"python benchmarks/{name}.py",
        "recipe": recipe,
        "measured_on": surroundings(),
    }
    runs: list[dict[str, Any]] = []
    if options.out.exists():
        before = json.loads(options.out.read_text(encoding="utf-8"))
        if any(before.get(key) != value for key, value in head.items()):
            raise InputError(f"{options.out} was measured otherwise or elsewhere; pass another --out")
        runs = before["runs"]
    for seed in sorted(set(options.seeds) - {run["seed"] for run in runs}):
        runs = sorted([*runs, run(seed, recipe)], key=lambda run: run["seed"])
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(options.out) as temporary:
            content = {**head, "summary": summary(runs), "runs": runs}
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(summary(runs), indent=1))
