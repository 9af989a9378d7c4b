"""How strong each regulariser of chapter 10 should be, chosen on validation images.

Every candidate trains on the 1,000 images of its seed and is judged on 10,000 others of the training
set. The test images are not opened. `regularization.py` then uses the best of each kind.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import measure
import regularization
from over_seeds import Recipe

from mnist_course.data import load_mnist
from mnist_course.pytorch import training

CANDIDATES: dict[str, dict[str, Recipe]] = {
    "dropout": {f"{rate:g}": {"dropout": rate} for rate in (0.1, 0.3, 0.5)},
    "weight decay": {f"{decay:g}": {"weight_decay": decay} for decay in (0.1, 0.3, 1.0)},
    "augmentation": {
        f"{degrees}°, {pixels} px, {share:.0%}{', elastic' if elastic else ''}": {
            "augmentation": {
                "rotation": float(degrees), "shift": float(pixels), "zoom": share, "elastic": elastic
            }
        }
        for degrees, pixels, share, elastic in (
            (5, 1, 0.05, None), (10, 2, 0.1, None), (15, 3, 0.15, None), (10, 2, 0.1, [34.0, 4.0])
        )
    },
}  # fmt: skip
SEEDS = (100, 101, 102)
"""Not those of the runs on the test images."""


def validation_correct(strength: Recipe, seed: int) -> int:
    """Train with one strength; return how many of 10,000 validation images are classified correctly."""
    small, rest = load_mnist("train").split(1_000 / 60_000, seed=seed)
    validation, _ = rest.split(10_000 / 59_000, seed=seed)
    recipe = {
        **regularization.COMMON, "train_images": 1_000, **regularization.SIZES[1_000],
        **regularization.OFF, **strength,
    }  # fmt: skip
    network, _ = regularization.train(recipe, small, seed)
    return training.evaluate(network, validation).correct


def main() -> None:
    """Run every candidate with every seed and write the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    start = time.perf_counter()
    body: dict[str, dict[str, Any]] = {}
    for kind, candidates in CANDIDATES.items():
        body[kind] = {}
        for label, strength in candidates.items():
            correct = [validation_correct(strength, seed) for seed in SEEDS]
            spread = measure.spread([count / 10_000 for count in correct])
            body[kind][label] = {"strength": strength, "validation_accuracy": spread}
            print(
                f"{kind} {label}: {spread['mean']:.4f} ± {spread['sd']:.4f}", file=sys.stderr, flush=True
            )
    chosen = {
        kind: max(candidates, key=lambda label: candidates[label]["validation_accuracy"]["mean"])
        for kind, candidates in body.items()
    }
    measure.write(
        "regularization_strengths",
        {
            "candidates": body,
            "chosen": chosen,
            "wall_seconds": round(time.perf_counter() - start, 1),
        },
        ["mnist-course", "numpy", "torch"],
        seeds=SEEDS,
    )


if __name__ == "__main__":
    main()
