"""Train one recipe of the PyTorch wing with several seeds and record the test accuracies.

The recipe is fixed before any run, so the test images are opened once per seed, at the end, and decide
nothing. A results file can be filled in several goes: seeds it holds already are not run again.
"""

import argparse
import json
from typing import Any

import measure
import torch
from torch import nn

from mnist_course.data import load_mnist
from mnist_course.models import build
from mnist_course.pytorch.training import evaluate, fit

PACKAGES = ["mnist-course", "numpy", "torch"]


def network(name: str, initialisation: str, seed: int) -> nn.Module:
    """Build the package's network, or the same one with the weights that PyTorch draws by itself."""
    model: nn.Module = build(name, "pytorch", seed=seed)
    if initialisation == "pytorch":
        torch.manual_seed(seed)
        for layer in model.children():
            layer.reset_parameters()
    return model


def run(seed: int, recipe: dict[str, Any]) -> dict[str, Any]:
    """Train on all 60,000 training images, then open the 10,000 test images once."""
    train, test = load_mnist("train"), load_mnist("test")
    settings = dict(recipe)
    model = network(settings.pop("model"), settings.pop("initialisation"), seed)
    history = fit(model, train, seed=seed, device="cpu", **settings)
    result = evaluate(model, test)
    return {
        "seed": seed,
        "test_correct": result.correct,
        "test_images": len(test),
        "train_loss": history.train_loss,
        "train_accuracy": history.train_accuracy,
        "seconds": history.seconds,
    }


def main(name: str, recipe: dict[str, Any]) -> None:
    """Run the seeds that are missing in ``results/NAME.json`` and write it anew after each."""
    parser = argparse.ArgumentParser(description=f"Measure {name} over seeds.")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(10), help="default: 0 to 9")
    options = parser.parse_args()
    torch.set_num_threads(int(measure.THREADS))

    path = measure.RESULTS / f"{name}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    runs = before["runs"] if before.get("recipe") == recipe else []
    for seed in sorted(set(options.seeds) - {run["seed"] for run in runs}):
        runs = sorted([*runs, run(seed, recipe)], key=lambda run: run["seed"])
        accuracies = [run["test_correct"] / run["test_images"] for run in runs]
        body = {"recipe": recipe, "test_accuracy": measure.spread(accuracies), "runs": runs}
        measure.write(name, body, PACKAGES)
        mean = body["test_accuracy"]["mean"]
        print(f"seed {seed}: {accuracies[-1]:.4f}, mean of {len(runs)}: {mean:.4f}", flush=True)
