"""Run recipes with several seeds each and record the test accuracies.

A recipe is fixed before any run, so the test images are opened once per seed, at the end, and decide
nothing. Where recipes are yet to be chosen, runs count the right answers to validation images instead.
A results file can be filled in several goes: seeds it holds already are not run again.

The file holds, beside what `measure.write` adds:

    variants → label → recipe, test_accuracy (values, mean, sd), seconds (the same), runs (one per seed)

Every run names the commit it was made with; the file's own is the last run's. With ``--workers`` or
``--scheduler`` several are made side by side (`sweeps`), which makes each slower: then a run also
names the threads it had and the number of workers. ``wall_seconds`` is the sum over the runs.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import measure
import sweeps
from sweeps import Recipe, Run

from mnist_course.data import load_mnist
from mnist_course.errors import InputError
from mnist_course.models import build, wing


def train_and_test(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train on the 60,000 training images, then open the 10,000 test images once.

    The recipe names ``framework`` and ``model``; everything else in it goes to the wing's `fit`. With a
    ``validation_share`` that share of the training images is held out, the same of every class.
    """
    settings = dict(recipe)
    framework, name = settings.pop("framework"), settings.pop("model")
    initialisation = settings.pop("initialisation", "package")
    share = settings.pop("validation_share", None)
    training = wing(framework, "training")
    model = build(name, framework, seed=seed)
    if framework == "pytorch":
        settings["device"] = "cpu"
        if initialisation == "pytorch":
            draw_as_pytorch_does(model, seed)
    train, validation = load_mnist("train"), None
    if share:
        train, validation = train.split(1 - share, seed=seed)
    history = training.fit(model, train, validation, seed=seed, **settings)
    test = load_mnist("test")
    return {
        "test_correct": training.evaluate(model, test).correct,
        "test_images": len(test),
        "train_loss": history.train_loss,
        "train_accuracy": history.train_accuracy,
        **({"validation_accuracy": history.validation_accuracy} if share else {}),
        **({"best_epoch": history.best_epoch} if history.best_epoch else {}),
    }


def draw_as_pytorch_does(model: Any, seed: int) -> None:
    """Replace the package's initial weights by those that PyTorch's layers draw by themselves."""
    import torch

    torch.manual_seed(seed)
    for layer in model.children():
        layer.reset_parameters()


def main(
    name: str,
    variants: Mapping[str, Recipe],
    *,
    packages: Iterable[str],
    run: Run = train_and_test,
    seeds: Sequence[int] = range(10),
    judged_on: str = "test",
) -> None:
    """Run the seeds that are missing in ``results/NAME.json`` and write it anew after each.

    A run returns the number of right answers as ``JUDGED_ON_correct``, of ``JUDGED_ON_images``.
    """
    parser = argparse.ArgumentParser(description=f"Measure {name} over seeds.")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds), help="default: %(default)s")
    parser.add_argument("--only", choices=variants, nargs="+", default=list(variants), metavar="VARIANT")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=int, default=1, help="processes of one thread each that share the runs (Dask)"
    )
    where.add_argument("--scheduler", metavar="ADDRESS", help="share the runs on this Dask cluster")
    options = parser.parse_args()
    if options.workers < 1:
        parser.error(f"--workers is {options.workers}; expected at least 1")

    path = measure.RESULTS / f"{name}.json"
    before = json.loads(path.read_text(encoding="utf-8"))["variants"] if path.exists() else {}
    found = {
        label: before[label]["runs"] if before.get(label, {}).get("recipe") == recipe else []
        for label, recipe in variants.items()
    }
    jobs = [
        (label, variants[label], seed)
        for seed in options.seeds
        for label in options.only
        if not any(old["seed"] == seed for old in found[label])
    ]
    if options.scheduler:
        outcomes = sweeps.on_cluster(jobs, run, options.scheduler)
    elif options.workers > 1:
        outcomes = sweeps.on_processes(jobs, run, options.workers)
    else:
        outcomes = sweeps.one_by_one(jobs, run)
    failed = 0
    try:
        with closing(outcomes):
            for (label, _, seed), new in outcomes:
                if isinstance(new, Exception):
                    failed += 1
                    print(f"{label}, seed {seed} failed: {type(new).__name__}: {new}", file=sys.stderr)
                    continue
                found[label] = sorted([*found[label], new], key=lambda one: one["seed"])
                body = {
                    text: described(variants[text], runs, judged_on)
                    for text, runs in found.items()
                    if runs
                }
                write(name, body, packages, default=seeds)
                latest, mean = accuracy(new, judged_on), body[label][f"{judged_on}_accuracy"]["mean"]
                print(
                    f"{label}, seed {seed}: {latest:.4f}, mean of {len(found[label])}: {mean:.4f}",
                    flush=True,
                )
    except InputError as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:
        print(
            f"interrupted; {path} keeps what is finished, the same command does the rest",
            file=sys.stderr,
        )
        sys.exit(130)
    if failed:
        sys.exit(f"{failed} of {len(jobs)} runs failed; the same command tries these again")


def write(name: str, body: dict[str, Any], packages: Iterable[str], *, default: Iterable[int]) -> None:
    """Write the results so far, with the command that makes them in one go and the time they take."""
    runs = [one for variant in body.values() for one in variant["runs"]]
    used = sorted({one["seed"] for one in runs})
    options = [] if used == sorted(default) else ["--seeds", *map(str, used)]
    if (workers := common("workers", runs)) is not None:
        options += ["--workers", str(workers)]
    whole = {"variants": body, "wall_seconds": round(sum(one["seconds"] for one in runs), 1)}
    if (threads := common("threads", runs)) is not None:
        whole["threads"] = threads
    measure.write(name, whole, packages, seeds=used, options=options)


def common(key: str, runs: Sequence[dict[str, Any]]) -> Any:
    """Return what all runs hold under `key`, ``None`` if they differ or have no such key."""
    values = {one.get(key) for one in runs}
    return values.pop() if len(values) == 1 else None


def described(recipe: Recipe, runs: list[dict[str, Any]], judged_on: str) -> dict[str, Any]:
    """Return a variant's entry in the results file."""
    return {
        "recipe": recipe,
        f"{judged_on}_accuracy": measure.spread([accuracy(one, judged_on) for one in runs]),
        "seconds": measure.spread([one["seconds"] for one in runs]),
        "runs": runs,
    }


def accuracy(run: dict[str, Any], judged_on: str) -> float:
    """Return the share of the images that a run classified correctly."""
    return float(run[f"{judged_on}_correct"] / run[f"{judged_on}_images"])
