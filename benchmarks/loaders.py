"""Images per second of an epoch's iteration: a tensor in memory, beside torchvision's usual way.

    python benchmarks/loaders.py

Peers: `TensorLoader`, and `torchvision.datasets.MNIST` with `ToTensor` behind a `DataLoader` with 0 and
2 workers; each without augmentation, and with images turned, shifted and zoomed equally far. torchvision
alters a picture before it makes a tensor of it, its fastest way. Preparation (reading the files, making
the tensor) is apart; starting the workers belongs to an epoch, as it does in a script.

Every process has one native thread: a DataLoader's further cores are further workers, and ours needs no
second one. OMP_NUM_THREADS changes that.

Two peers are limits: copying the same bytes batch by batch without any choice, and the resampling alone
(`grid_sample`, the grid being there).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))
import measure

TABLE = {  # peer: workers (None for ours), augmentation
    "TensorLoader": (None, False),
    "DataLoader": (0, False),
    "DataLoader, 2 workers": (2, False),
    "TensorLoader, augmented": (None, True),
    "DataLoader, augmented": (0, True),
    "DataLoader, 2 workers, augmented": (2, True),
}
LIMITS = {"copying": "TensorLoader", "resampling": "TensorLoader, augmented"}
BATCH = 64
ROUNDS = 3
SEED = 0
GOALS = {False: 50, True: 10}
"""Times as many images per second as the DataLoader, without and with augmentation."""


def ours(augmented: bool) -> Iterable[Any]:
    from mnist_course.augmentation import Augmentation
    from mnist_course.data import load_mnist
    from mnist_course.pytorch.loaders import TensorLoader

    return TensorLoader(
        load_mnist("train"), BATCH, seed=SEED, augmentation=Augmentation() if augmented else None
    )


def torchvisions(workers: int, augmented: bool, folder: str) -> Iterable[Any]:
    import torch
    from torch.utils.data import DataLoader
    from torchvision.datasets import MNIST
    from torchvision.transforms import Compose, InterpolationMode, ToTensor, v2

    from mnist_course.augmentation import SIDE, Augmentation

    as_far = Augmentation()
    affine = v2.RandomAffine(
        degrees=as_far.rotation,
        translate=(as_far.shift / SIDE, as_far.shift / SIDE),
        scale=(1 - as_far.zoom, 1 + as_far.zoom),
        interpolation=InterpolationMode.BILINEAR,
    )
    torch.manual_seed(SEED)
    return DataLoader(
        MNIST(
            folder,
            download=False,
            transform=Compose([affine, ToTensor()] if augmented else [ToTensor()]),
        ),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
    )


def copies() -> float:
    """Return images per second when each batch is the next stretch of memory."""
    import torch

    images = torch.rand(60_000, 1, 28, 28)
    batch = torch.empty(BATCH, 1, 28, 28)

    def epoch() -> None:
        for start in range(0, len(images) - BATCH + 1, BATCH):
            batch.copy_(images[start : start + BATCH])

    return len(images) / measure.seconds(epoch)


def resamplings() -> float:
    """Return images per second when the grid of every batch is there."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(SEED)
    images, grid = torch.rand(BATCH, 1, 28, 28), 2 * torch.rand(BATCH, 2, 28, 28) - 1
    planes = grid.permute(0, 2, 3, 1)  # laid out as `place` does
    return BATCH / measure.seconds(
        lambda: F.grid_sample(images, planes, align_corners=False), repeats=2000
    )


def measure_peer(peer: str) -> dict[str, float]:
    if peer in LIMITS:
        return {"images_per_second": copies() if peer == "copying" else resamplings()}
    workers, augmented = TABLE[peer]
    with tempfile.TemporaryDirectory() as folder:
        if workers is not None:
            from mnist_course.data.export import export_mnist

            export_mnist(folder, "torchvision")
        start = time.perf_counter()
        loader = ours(augmented) if workers is None else torchvisions(workers, augmented, folder)
        prepared = time.perf_counter() - start
        if workers is None:
            seconds = measure.seconds(lambda: count(loader), repeats=10)
        else:  # seconds long: one epoch is enough
            start = time.perf_counter()
            count(loader)
            seconds = time.perf_counter() - start
    return {"images_per_second": 60_000 / seconds, "prepare_seconds": prepared}


def count(loader: Iterable[Any]) -> None:
    images = sum(len(images) for images, _ in loader)
    if images != 60_000:
        raise RuntimeError(f"an epoch had {images} images")


def main() -> None:
    """Measure the peers in turn and write the results."""
    runs = measure.peers_in_turn(__file__, __doc__, [*TABLE, *LIMITS], measure_peer, rounds=ROUNDS)
    rates = {peer: [run["images_per_second"] for run in runs[peer]] for peer in runs}
    fastest = {False: "TensorLoader", True: "TensorLoader, augmented"}

    def ratio(one: str, other: str) -> dict[str, Any]:  # within a round: a slow minute hits both
        return measure.spread([a / b for a, b in zip(rates[one], rates[other], strict=True)])

    ratios = {
        peer: ratio(fastest[augmented], peer)
        for peer, (workers, augmented) in TABLE.items()
        if workers is not None
    }
    body = {
        "rounds": len(rates["TensorLoader"]),
        "unit": "images per second of one epoch over 60,000 images",
        "batch_size": BATCH,
        "images_per_second": {peer: measure.spread(values) for peer, values in rates.items()},
        "prepare_seconds": {
            peer: measure.spread([run["prepare_seconds"] for run in runs[peer]]) for peer in TABLE
        },
        "times_the_dataloader": ratios,
        "goals": {peer: GOALS[augmented] for peer, (_, augmented) in TABLE.items() if peer in ratios},
        "share_of_limit": {limit: ratio(peer, limit) for limit, peer in LIMITS.items()},
    }
    measure.write(
        "loaders", body, ["mnist-course", "numpy", "torch", "torchvision", "pillow"], seeds=[SEED]
    )
    rows = [
        [
            peer,
            f"{statistics.median(values):,.0f}",
            *(
                [f"{ratios[peer]['median']:.1f}", str(body["goals"][peer])]
                if peer in ratios
                else ["", ""]
            ),
        ]
        for peer, values in rates.items()
    ]
    print(measure.table(["peer", "images/s", "TensorLoader is … times as fast", "goal"], rows))
    for limit, share in body["share_of_limit"].items():
        print(f"{LIMITS[limit]} reaches {share['median']:.0%} of {limit} alone")


if __name__ == "__main__":
    main()
