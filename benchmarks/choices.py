"""What a ``*_choices.py`` script chose: of a choice's candidates the best mean on validation images.

Such a script runs one variant per candidate through `over_seeds`, labelled "CHOICE: VALUE", the smallest
value first. The script that needs the choice asks here for the recipe that won.
"""

import json
import sys

import measure
from sweeps import Recipe


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
