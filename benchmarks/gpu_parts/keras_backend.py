"""Keras with the torch backend on the device, beside the course's own PyTorch loop: LeNet-5.

Where Keras is not installed the part says so and ends well: that is a fact about the machine.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import measure

from gpu_parts.accuracy import Save
from gpu_parts.machine import Machine, median_rate
from mnist_course import build
from mnist_course.data import load_mnist
from mnist_course.models import wing

EPOCHS = 3  # the first warms up
BATCHES = (128, 1024)


def part(machine: Machine, seeds: list[int], dry: bool, save: Save, before: dict[str, Any]) -> None:
    """Train the same network by both libraries and compare images per second."""
    if find_spec("keras") is None:
        save({"absent": "keras is not installed"})
        return
    os.environ["KERAS_BACKEND"] = "torch"
    os.environ["KERAS_TORCH_DEVICE"] = machine.device.type
    train = load_mnist("train").subset(range(512 if dry else 12_800))
    rows = list(before.get("rows", []))
    there = {(row["framework"], row["batch"]) for row in rows}
    for batch in (64, 128) if dry else BATCHES:
        for framework in ("pytorch", "keras"):
            if (framework, batch) in there:
                continue
            # PyTorch's loop goes where the model is told to go, Keras's where its backend is
            where = {"device": machine.device} if framework == "pytorch" else {}
            history = wing(framework, "training").fit(
                build("lenet5", framework, seed=seeds[0]),
                train,
                epochs=EPOCHS,
                batch_size=batch,
                seed=seeds[0],
                progress=False,
                **where,
            )
            rows.append(
                {
                    "framework": framework,
                    "batch": batch,
                    "images_per_second": median_rate(len(train), history.seconds[1:]),
                    "epoch_seconds": measure.spread(history.seconds[1:]),
                    "first_epoch_seconds": history.seconds[0],
                    "train_accuracy": history.train_accuracy[-1],
                }
            )
            save({"network": "lenet5", "images": len(train), "rows": rows, **versions()})


def versions() -> dict[str, str]:
    """Return Keras's version and the backend it really uses, once it is imported."""
    import keras

    return {"keras": keras.__version__, "backend": keras.backend.backend()}
