"""A search with Optuna on validation images, and what it was worth on the test images (chapter 10).

Every trial trains LeNet-5 on the same 5,000 training images and is judged on 5,000 others after each
epoch; a trial that lies below the median of the earlier ones is given up. The default setting and the
one found are then trained with seeds that the search did not use, and only now are the test images
opened, once per run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import measure
import optuna

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset, load_mnist
from mnist_course.history import History
from mnist_course.pytorch import regularized, training

TRIALS = 30
EPOCHS = 8
SEEDS = range(10, 15)
DEFAULT: dict[str, Any] = {
    "learning_rate": 1e-3, "batch_size": 64, "weight_decay": 0.01, "dropout": 0.0, "batch_norm": False,
    "rotation": 0.0, "shift": 0.0, "zoom": 0.0,
}  # fmt: skip
"""What PyTorch and this course take when nobody chooses."""


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """Draw one point of the search space."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128]),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 3.0, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "batch_norm": trial.suggest_categorical("batch_norm", [False, True]),
        "rotation": trial.suggest_float("rotation", 0.0, 25.0),
        "shift": trial.suggest_float("shift", 0.0, 4.0),
        "zoom": trial.suggest_float("zoom", 0.0, 0.25),
    }


def train(
    point: Mapping[str, Any],
    data: ImageDataset,
    validation: ImageDataset | None,
    *,
    seed: int,
    after_epoch: Any = None,
) -> Any:
    """Train LeNet-5 with the settings of one point; return the network."""
    network = regularized.build(dropout=point["dropout"], batch_norm=point["batch_norm"], seed=seed)
    values = (point["rotation"], point["shift"], point["zoom"])
    training.fit(
        network,
        data,
        validation,
        epochs=EPOCHS,
        batch_size=point["batch_size"],
        learning_rate=point["learning_rate"],
        optimizer="adamw",
        schedule="cosine",
        weight_decay=point["weight_decay"],
        augmentation=Augmentation(*values) if any(values) else None,
        seed=seed,
        device="cpu",
        after_epoch=after_epoch,
        progress=False,
    )
    return network


def search(data: ImageDataset, validation: ImageDataset) -> optuna.Study:
    """Run all trials; the validation accuracy after the last epoch is what they maximise."""

    def objective(trial: optuna.Trial) -> float:
        def report(history: History) -> None:
            trial.report(history.validation_accuracy[-1], len(history))
            if trial.should_prune():
                raise optuna.TrialPruned

        network = train(suggest(trial), data, validation, seed=trial.number, after_epoch=report)
        return training.evaluate(network, validation).accuracy

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3),
    )
    study.enqueue_trial(DEFAULT)  # so that the search starts from what is to be beaten
    study.optimize(objective, n_trials=TRIALS)
    return study


def described(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Return a trial as the results file holds it."""
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "parameters": trial.params,
        "value": trial.value,
        "validation_accuracy": list(trial.intermediate_values.values()),
        "seconds": trial.duration.total_seconds() if trial.duration else None,
    }


def main() -> None:
    """Search, compare the default with what was found, and write both."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    start = time.perf_counter()
    data, rest = load_mnist("train").split(5_000 / 60_000, seed=0)
    validation, _ = rest.split(5_000 / 55_000, seed=0)
    study = search(data, validation)
    search_seconds = time.perf_counter() - start

    test = load_mnist("test")
    compared = {}
    for name, point in (("default", DEFAULT), ("found", study.best_params)):
        networks = [train(point, data, None, seed=seed) for seed in SEEDS]
        correct = [training.evaluate(network, test).correct for network in networks]
        accuracy = measure.spread([count / len(test) for count in correct])
        compared[name] = {"parameters": dict(point), "test_correct": correct, "test_accuracy": accuracy}
        print(f"{name}: {accuracy['mean']:.4f} ± {accuracy['sd']:.4f}", flush=True)
    measure.write(
        "hyperparameter_search",
        {
            "epochs": EPOCHS,
            "train_images": len(data),
            "validation_images": len(validation),
            "test_images": len(test),
            "trials": [described(trial) for trial in study.trials],
            "best_trial": study.best_trial.number,
            "compared": compared,
            "search_seconds": round(search_seconds, 1),
            "wall_seconds": round(time.perf_counter() - start, 1),
        },
        ["mnist-course", "numpy", "optuna", "torch"],
        seeds=SEEDS,
    )


if __name__ == "__main__":
    main()
