"""Choices on validation images: every candidate with the same seeds, and the best mean is taken.

A script of choices runs one variant per candidate, labelled "CHOICE: VALUE", the smallest value first.
The script that needs the choice asks here for the recipe that won.
"""

import json
import sys
from collections.abc import Iterable, Mapping

import measure
import over_seeds
from sweeps import Recipe, Run

SEEDS = (100, 101)
"""Not those of the runs on the test images."""


def main(name: str, variants: Mapping[str, Recipe], *, packages: Iterable[str], run: Run) -> None:
    """Run what is missing of the candidates in ``results/NAME.json``.

    A run returns ``validation_correct`` and ``validation_images``.
    """
    over_seeds.main(name, variants, packages=packages, run=run, seeds=SEEDS, judged_on="validation")


def best(name: str, choice: str) -> Recipe:
    """Return the recipe with the highest mean validation accuracy, the smallest value of equals."""
    path = measure.RESULTS / f"{name}.json"
    command = f"python benchmarks/{name}.py"
    if not path.exists():
        sys.exit(f"{path} is missing; run first: {command}")
    variants = json.loads(path.read_text(encoding="utf-8"))["variants"]
    candidates = [one for label, one in variants.items() if label.rpartition(": ")[0] == choice]
    if len({tuple(run["seed"] for run in one["runs"]) for one in candidates}) != 1:
        sys.exit(f"{path} has no candidates with equal seeds for '{choice}'; run: {command}")
    found: Recipe = max(candidates, key=lambda one: one["validation_accuracy"]["mean"])["recipe"]
    return found
