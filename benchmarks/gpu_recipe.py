"""Which recipes `gpu.py` runs for its two goals, chosen on images held out of the training set.

The candidates train on 50,000 of MNIST's training images and are judged on the other 10,000; the test
images are not opened. Chosen is, for each accuracy, the candidate with the least training (steps, then
images) among those whose mean reaches it; if none does, the one with the best mean.

    python benchmarks/gpu_recipe.py

writes results/gpu_recipe.json: ``candidates`` (recipe, steps on all 60,000 images, validation_accuracy)
and ``chosen`` (accuracy → recipe). A GPU is used if there is one, and none is needed: accuracies do not
depend on it, beyond noise. Candidates that the file holds with the same seeds are not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import measure
from gpu_parts.accuracy import TARGETS
from gpu_parts.machine import Machine
from gpu_parts.training import FASTEST, Recipe, Resident, float32_arithmetic, run_of, share_correct

from mnist_course.data import load_mnist
from mnist_course.pytorch import devices

SEEDS = (100, 101, 102)
"""Not those of the runs on the test images."""

CANDIDATES = [
    Recipe(channels=channels, epochs=epochs, batch_size=size, learning_rate=rate)
    for channels, epochs, size, rate in (
        ((16, 48), 1, 128, 0.02),
        ((16, 48), 2, 512, 0.06),
        ((16, 48), 2, 256, 0.03),
        ((16, 48), 2, 256, 0.06),
        ((16, 64), 2, 256, 0.03),
        ((16, 64), 3, 256, 0.03),
        ((16, 64), 3, 512, 0.06),
    )
]


def main(arguments: list[str] | None = None) -> None:
    """Try the candidates and write what they reach."""
    parser = argparse.ArgumentParser(description="Choose the recipes of gpu.py on validation images.")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="default: %(default)s")
    parser.add_argument("--dry-run", action="store_true", help="a few images, to see that it runs")
    parser.add_argument("--out", type=Path, default=measure.RESULTS / "gpu_recipe.json", metavar="PATH")
    options = parser.parse_args(arguments)
    if options.dry_run and options.out.parent.resolve() == measure.RESULTS.resolve():
        parser.error("a dry run is no result; give it another place with --out PATH")
    machine = Machine("cpu" if options.dry_run else devices.choose().type)
    before = json.loads(options.out.read_text()) if options.out.exists() else {}
    candidates = CANDIDATES
    if options.dry_run:
        candidates = [replace(candidate, batch_size=64) for candidate in CANDIDATES[:2]]
    rows = [
        row
        for row in before.get("candidates", [])
        if row["seeds"] == options.seeds and row["recipe"] in map(as_json, candidates)
    ]
    for used in candidates:
        if any(row["recipe"] == as_json(used) for row in rows):
            continue
        shares = validated(used, machine, options.seeds, few=options.dry_run)
        rows.append(
            {
                "recipe": as_json(used),
                "steps": steps(used),
                "seeds": options.seeds,
                "validation_accuracy": measure.spread(shares),
            }
        )
        measure.write(
            "gpu_recipe",
            {
                "dry_run": options.dry_run,
                "device": machine.describe(),
                "candidates": rows,
                "chosen": {label: choice(rows, target) for label, target in TARGETS.items()},
            },
            ["numpy", "torch"],
            seeds=options.seeds,
            options=[],
            path=options.out,
        )
        mean = rows[-1]["validation_accuracy"]["mean"]
        print(f"{mean:.4f}  {used}", file=sys.stderr, flush=True)
    print(json.dumps({label: choice(rows, target) for label, target in TARGETS.items()}, indent=1))


def validated(recipe: Recipe, machine: Machine, seeds: list[int], *, few: bool) -> list[float]:
    """Return the share of held-out images that the recipe gets right, seed by seed."""
    train, held_out = load_mnist("train").split(5 / 6, seed=0)
    if few:
        train, held_out = train.subset(range(512)), held_out.subset(range(256))
    resident, looked_at = Resident.of(train, machine), Resident.of(held_out, machine)
    with float32_arithmetic(FASTEST):
        run = run_of(recipe, resident, machine, FASTEST)
        run.prepare()
        shares = []
        for seed in seeds:
            run.train(recipe, seed)
            correct, images = share_correct(run.step.network, looked_at)
            shares.append(correct / images)
    return shares


def choice(rows: list[dict[str, Any]], target: float) -> dict[str, Any]:
    """Return the recipe with the least training that reaches `target`, else the best."""

    def mean(row: dict[str, Any]) -> float:
        return row["validation_accuracy"]["mean"]

    def effort(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["steps"], row["recipe"]["batch_size"], row["recipe"]["channels"], -mean(row)

    enough = [row for row in rows if mean(row) >= target]
    return (min(enough, key=effort) if enough else max(rows, key=mean))["recipe"]


def steps(recipe: Recipe) -> int:
    """Return the steps of the recipe on all training images."""
    return 60_000 // recipe.batch_size * recipe.epochs


def as_json(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as a results file gives it back."""
    return asdict(recipe) | {"channels": list(recipe.channels)}


if __name__ == "__main__":
    main()
