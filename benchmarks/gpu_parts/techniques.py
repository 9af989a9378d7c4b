"""What each technique brings: images per second of a training step, one change at a time.

Every way but the first two differs in one thing from "data on the device", which differs in one thing
from the first, PyTorch's usual loop; the last two have all of them. A way that fails says so in its row.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import measure
import torch

from gpu_parts.accuracy import Save
from gpu_parts.machine import Machine, median_rate
from gpu_parts.training import (
    FASTEST,
    NETWORKS,
    Resident,
    Run,
    Step,
    Way,
    as_dict,
    build,
    float32_arithmetic,
)
from mnist_course.data import ImageDataset, load_mnist, write_idx
from mnist_course.pytorch.execution import PLAIN, Execution
from mnist_course.pytorch.training import fit

WORKERS = min(8, os.cpu_count() or 1)
HOST_WAYS = {"DataLoader": 0, "DataLoader, workers, pinned memory": WORKERS}
BASE = "data on the device"
RESIDENT_WAYS = {
    BASE: Way(),
    "channels last": Way(channels_last=True),
    "bf16": Way(precision="bf16"),
    "fp16": Way(precision="fp16"),
    "fused optimizer": Way(fused=True),
    "cuDNN autotune": Way(autotune=True),
    "CUDA graph": Way(graph=True),
    "all, without compile": FASTEST,
    "compile": Way(compile=True),
    "all": Way(**(vars(FASTEST) | {"compile": True})),
    # last, because they change switches of the whole process that the compiler looks at
    "TF32": Way(precision="TF32"),
    "float32 without TF32": Way(precision="float32 without TF32"),
}
FIT_WAYS = {  # what a reader of the course types
    "fit": Execution(),
    "fit, all without compile": Execution(precision="bf16", channels_last=True, cuda_graph=True),
}
BATCHES = (128, 1024)


def part(machine: Machine, seeds: list[int], dry: bool, save: Save, before: dict[str, Any]) -> None:
    """Measure every way with both networks and batch sizes; rows that are there already stay."""
    train = load_mnist("train")
    if dry:
        train = train.subset(range(128))
    resident = Resident.of(train, machine)
    rows = list(before.get("rows", []))
    there = {(row["network"], row["batch"], row["way"]) for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        pictures = torchvision_mnist(train, Path(folder))
        # way by way: what is left when time runs out is missing for both networks and batch sizes
        for way, network, batch in itertools.product(
            [*HOST_WAYS, *FIT_WAYS, *RESIDENT_WAYS], NETWORKS, (32,) if dry else BATCHES
        ):
            if (network, batch, way) in there:
                continue
            row: dict[str, Any] = {"network": network, "batch": batch, "way": way}
            start = time.perf_counter()
            try:
                if way in HOST_WAYS:
                    row |= from_host(machine, network, batch, pictures, HOST_WAYS[way], seeds[0])
                elif way in FIT_WAYS:
                    row |= by_fit(machine, network, batch, train, FIT_WAYS[way], seeds[0])
                else:
                    row |= on_device(machine, network, batch, resident, RESIDENT_WAYS[way], seeds[0])
            except Exception as error:  # one way that fails must not cost the others
                machine.synchronize()  # which fails, too, if the device is done for in this process
                row["failed"] = f"{type(error).__name__}: {error}"[:300]
            rows.append(row | {"wall_seconds": time.perf_counter() - start})
            save({"unit": "images per second", "rows": with_ratios(rows)})


def on_device(
    machine: Machine, network: str, batch: int, data: Resident, way: Way, seed: int
) -> dict[str, Any]:
    """Return images per second of whole epochs, with what it cost to get ready."""
    with float32_arithmetic(way):
        run = Run(Step(build(network, seed=seed), machine, way), data, batch)
        graphed = run.prepare()
        generator = torch.Generator(machine.device).manual_seed(seed)
        seconds = machine.seconds(lambda: run.epoch(generator))
    return {
        "changes": as_dict(way),
        "images_per_second": median_rate(run.order.numel(), seconds),
        "epoch_seconds": measure.spread(seconds),
        "warm_up_seconds": graphed.warm_up_seconds,
        "capture_seconds": graphed.capture_seconds,
    }


def by_fit(
    machine: Machine, network: str, batch: int, train: ImageDataset, execution: Execution, seed: int
) -> dict[str, Any]:
    """Return images per second of the course's own training loop, its first epoch apart."""
    if not machine.cuda:
        execution = replace(execution, cuda_graph=False)
    history = fit(
        build(network, seed=seed),
        train,
        epochs=3,
        batch_size=batch,
        optimizer="adamw",
        seed=seed,
        device=machine.device,
        progress=False,
        execution=execution,
    )
    return {
        "changes": {
            name: value for name, value in vars(execution).items() if value != getattr(PLAIN, name)
        },
        "images_per_second": median_rate(len(train), history.seconds[1:]),
        "epoch_seconds": measure.spread(history.seconds[1:]),
        "warm_up_seconds": history.seconds[0],
    }


def torchvision_mnist(dataset: ImageDataset, folder: Path) -> Any:
    """Return the images as torchvision's data set, which reads files and makes pictures."""
    from torchvision import datasets, transforms

    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "t10k"):  # torchvision wants to see all four files
        write_idx(raw / f"{split}-images-idx3-ubyte", dataset.images)
        write_idx(raw / f"{split}-labels-idx1-ubyte", dataset.labels)
    return datasets.MNIST(folder, train=True, transform=transforms.ToTensor())


def from_host(
    machine: Machine, network: str, batch: int, pictures: Any, workers: int, seed: int
) -> dict[str, Any]:
    """Return images per second when a DataLoader makes every batch on the host.

    Without workers a quarter of an epoch is enough: every batch costs the same. Workers make batches
    ahead of time, so they get whole epochs, after one that starts them.
    """
    usable = len(pictures) // batch * batch
    used = usable if workers else max(batch, usable // 4 // batch * batch)
    loader = torch.utils.data.DataLoader(
        pictures,
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        pin_memory=bool(workers) and machine.cuda,
        persistent_workers=bool(workers),
        generator=torch.Generator().manual_seed(seed),
    )
    step = Step(build(network, seed=seed), machine, Way())

    def epoch() -> None:
        for images, labels in first(loader, used // batch):
            step(
                images.to(machine.device, non_blocking=True),
                labels.to(machine.device, non_blocking=True),
            )

    seconds = machine.seconds(epoch)
    return {
        "changes": {"workers": workers} if workers else {},
        "images_per_second": median_rate(used, seconds),
        "epoch_seconds": measure.spread([spent * usable / used for spent in seconds]),
    }


def first(loader: Any, batches: int) -> Iterator[Any]:
    """Yield the first batches of an epoch, reading none beyond them."""
    return itertools.islice(loader, batches)


def with_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows, each with its ratio to the usual loop and to data on the device."""
    rates = {(row["network"], row["batch"], row["way"]): row.get("images_per_second") for row in rows}
    compared = []
    for row in rows:
        ratios = {}
        for name, other in (("DataLoader", "DataLoader"), (BASE, BASE)):
            reference = rates.get((row["network"], row["batch"], other))
            if reference and row.get("images_per_second"):
                ratios[name] = row["images_per_second"] / reference
        compared.append(row | {"ratio_to": ratios})
    return compared
