"""Learning rates chosen on validation images: every candidate with several seeds, the best mean wins.

`transfer_choices.py` and `backbone_choices.py` make such tables, `transfer.py`, `out_of_distribution.py`
and `backbone.py` read what they chose.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import measure
import sweeps
from sweeps import Recipe, Run

Table = dict[str, dict[str, dict[str, Any]]]
"""Task → method → learning rate, as text → validation_accuracy (values, mean, sd) and seconds."""


def measured(
    recipes: Mapping[tuple[str, str], Recipe],
    rates: Mapping[str, Sequence[float]],
    validate: Run,
    seeds: Sequence[int],
    workers: int,
) -> Table:
    """Run every (task, method)'s recipe with each of the method's rates and each seed.

    `validate` returns ``correct`` and ``images``.
    """
    jobs = [
        (f"{task} | {method} | {rate:g}", {**recipe, "learning_rate": rate}, seed)
        for seed in seeds
        for (task, method), recipe in recipes.items()
        for rate in rates[method]
    ]
    start = time.perf_counter()
    values: dict[str, dict[int, dict[str, Any]]] = {}
    outcomes = sweeps.on_processes(jobs, validate, workers)
    for number, ((label, _, seed), found) in enumerate(outcomes, 1):
        if isinstance(found, Exception):
            sys.exit(f"{label}, seed {seed} failed: {type(found).__name__}: {found}")
        values.setdefault(label, {})[seed] = found
        left = (time.perf_counter() - start) / number * (len(jobs) - number)
        share = found["correct"] / found["images"]
        print(f"{label}: {share:.4f}, {left / 60:.0f} min left", file=sys.stderr, flush=True)
    table: Table = {}
    for label, by_seed in values.items():
        task, method, rate = label.split(" | ")
        runs = [by_seed[seed] for seed in seeds]
        table.setdefault(task, {}).setdefault(method, {})[rate] = {
            "validation_accuracy": measure.spread([run["correct"] / run["images"] for run in runs]),
            "seconds": measure.spread([run["seconds"] for run in runs]),
        }
    return table


def best(candidates: Mapping[str, Any]) -> float:
    """Return the learning rate with the highest mean accuracy, the lowest of equals."""
    return min(
        map(float, candidates),
        key=lambda rate: (-candidates[f"{rate:g}"]["validation_accuracy"]["mean"], rate),
    )


def write(
    name: str, table: Table, chosen: Mapping[str, Any], packages: Sequence[str], seeds: Sequence[int]
) -> None:
    """Write the table and what it chose, and say where a choice lies at the end of its candidates."""
    for task, methods in table.items():
        for method, candidates in methods.items():
            if best(candidates) in (min(map(float, candidates)), max(map(float, candidates))):
                print(f"{task}, {method}: {best(candidates):g} is the last tried", file=sys.stderr)
    measure.write(
        name, {"candidates": table, "chosen": chosen, "threads": 1}, packages, seeds=seeds, options=[]
    )


def chosen(name: str, task: str, method: str) -> Recipe:
    """Return what was chosen for a task and a method."""
    path = measure.RESULTS / f"{name}.json"
    if not path.exists():
        sys.exit(f"{path} is missing; run first: python benchmarks/{name}.py")
    found: Recipe = json.loads(path.read_text(encoding="utf-8"))["chosen"][task][method]
    return found
