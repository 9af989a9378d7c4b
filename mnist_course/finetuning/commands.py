"""The command ``mnist-course finetune``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mnist_course.data import DATASETS, ImageDataset
from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation
from mnist_course.files import atomic_write
from mnist_course.finetuning import METHODS
from mnist_course.runs import RUNS, draw, images, newest, opened, writable


@click.command()
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="A folder that train or finetune wrote."
)
@click.option(
    "--data",
    required=True,
    help=f"{', '.join(DATASETS)}, or a folder with a folder of pictures per class.",
)
@click.option("--method", default="full", show_default=True, help=f"One of {', '.join(METHODS)}.")
@click.option("--epochs", default=10, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--learning-rate", type=float, help="[the method's own]")
@click.option(
    "--rank",
    default=4,
    show_default=True,
    help="Of LoRA; the width of adapters, or of a prompt's border in pixels.",
)
@click.option(
    "--replay",
    default=0,
    show_default=True,
    help="Images of what the network has learned before, trained on again so that it is not forgotten.",
)
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--validation",
    default=0.0,
    show_default=True,
    help="Share of the training images held out and measured after every epoch.",
)
@click.option(
    "--patience",
    type=int,
    help="Stop after this many epochs without a better validation loss (holds out a tenth by default).",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, mps.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder  [runs/MODEL-DATA-METHOD].")
@click.option("--resume", is_flag=True, help="Continue an interrupted run in the same folder.")
def finetune(
    source: Path | None,
    data: str,
    method: str,
    epochs: int,
    batch_size: int,
    learning_rate: float | None,
    rank: int,
    replay: int,
    seed: int,
    validation: float,
    patience: int | None,
    device: str,
    out: Path | None,
    resume: bool,
) -> None:
    """Train a network further on other data, and say what it gained and what it forgot."""
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    if replay < 0:
        raise InputError(f"replay is {replay}; expected a number of images, 0 or more")
    source = source or newest()
    network, training, settings = opened(source)
    if settings["framework"] != "pytorch":
        raise InputError(
            f"the network was trained with {settings['framework']}, and fine-tuning is written in"
            " PyTorch; begin with one that was trained with --framework pytorch"
        )
    from mnist_course.finetuning.methods import fine_tune

    if data not in DATASETS and Path(data).exists():
        data = str(Path(data).resolve())  # history.json is read from elsewhere
    folder = out or RUNS / f"{settings['model']}-{Path(data).name}-{method}"
    if folder.resolve() == source.resolve():
        raise InputError(f"{folder} holds the network to begin with; choose another folder with --out")
    tasks = _Tasks(settings, data, training.evaluate)
    train, held_out = _held_out(tasks.new("train"), validation, patience, seed)
    old = tasks.replay(replay, seed=seed)
    before = tasks.measure(network, tasks.known)
    folder = writable(folder)
    mixed = "" if old is None else f" and {len(old)} old ones"
    click.echo(f"{settings['model']} from {settings['data']} to {data}: {len(train)} images{mixed}")
    try:
        result = fine_tune(
            network,
            train,
            held_out,
            method=method,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            rank=rank,
            new_head=tasks.new_head,
            replay=old,
            seed=seed,
            patience=patience,
            device=device,
            checkpoint=folder / "checkpoint",
            resume=resume,
        )
    except KeyboardInterrupt:
        click.echo(f"interrupted; the same command with --resume continues in {folder}", err=True)
        raise click.exceptions.Exit(130) from None
    merged = result.merged()
    after = tasks.measure(merged, tasks.class_names)
    adapter, weights = result.save(folder)
    numbers = sum(value.numel() for value in merged.parameters())
    fields: dict[str, Any] = {
        "method": method,
        "trained_parameters": result.trained_parameters,
        "parameters": numbers,
        "stored_bytes": adapter.stat().st_size,
        "network_bytes": weights.stat().st_size,
        "seconds": result.seconds,
        "replayed_images": 0 if old is None else len(old),
    }
    history = result.history()
    history.settings |= {
        "model": settings["model"],
        "data": data,
        "class_names": list(tasks.class_names),
        "earlier": [] if tasks.new_head else tasks.old,
        "fine_tuning": fields,
    }
    history.save(folder / "history.json")
    draw(history, folder / "learning_curve.png")
    _write_report(folder / "report.json", fields, before, after)
    click.echo(
        f"trained {result.trained_parameters:,} of {numbers:,} numbers in {result.seconds:.1f} s;"
        f" {fields['stored_bytes']:,} bytes stored alone, {fields['network_bytes']:,} with the network"
    )
    for name in before:
        click.echo(f"{name} before  {_shown(before[name])}")
        click.echo(f"{name} after   {_shown(after[name])}")
    click.echo(f"wrote {adapter.name}, {weights.name}, history.json and report.json to {folder}")


class _Tasks:
    """What a network can do, and what it is to learn.

    Data whose classes the network knows keep its head, and labels are numbered as it numbers them.
    Other classes need a new head, which cannot tell the old ones apart.
    """

    def __init__(self, settings: dict[str, Any], data: str, evaluate: Callable[..., Evaluation]) -> None:
        self.data, self.evaluate = data, evaluate
        self.known: tuple[str, ...] = settings["class_names"]
        found = images(data, "train").class_names
        self.new_head = not set(found) <= set(self.known)
        self.class_names = found if self.new_head else self.known
        self.old = [name for name in [*settings["earlier"], settings["data"]] if name != data]

    def new(self, split: str) -> ImageDataset:
        return images(self.data, split).renumbered(self.class_names)

    def replay(self, count: int, *, seed: int) -> ImageDataset | None:
        """Draw training images of the old tasks, as many of each, every class in its share."""
        if not count:
            return None
        if self.new_head:
            raise InputError(
                f"the classes do not match: the network knows {', '.join(self.known)}, and the new data"
                f" have {', '.join(self.class_names)}; replay needs the same, leave it out"
            )
        if not self.old:
            raise InputError("the network has learned nothing but these data; leave replay out")
        drawn = None
        for index, name in enumerate(self.old):
            whole = images(name, "train").renumbered(self.class_names)
            wanted = count // len(self.old) + (index < count % len(self.old))
            if not wanted:
                continue
            part = whole if wanted >= len(whole) else whole.split(wanted / len(whole), seed=seed)[0]
            drawn = part if drawn is None else drawn.joined(part)
        return drawn

    def measure(self, network: Any, class_names: tuple[str, ...]) -> dict[str, Evaluation | None]:
        """Evaluate the network, whose classes these are, on the test images of every task."""
        return {name: self._measure(network, name, class_names) for name in [self.data, *self.old]}

    def _measure(self, network: Any, name: str, class_names: tuple[str, ...]) -> Evaluation | None:
        try:
            test = images(name, "test").renumbered(class_names)
        except InputError:  # other classes, or a folder that is no longer there
            return None
        return self.evaluate(network, test)


def _held_out(
    train: ImageDataset, share: float, patience: int | None, seed: int
) -> tuple[ImageDataset, ImageDataset | None]:
    share = share or (0.0 if patience is None else 0.1)
    if not share:
        return train, None
    rest, held_out = train.split(1 - share, seed=seed)
    if not len(held_out) or (rest.counts() == 0).tolist() != (train.counts() == 0).tolist():
        raise InputError(
            f"{len(train)} images are too few to hold some back for validation; leave out --validation"
            " and --patience, or use more"
        )
    return rest, held_out


def _shown(result: Evaluation | None) -> str:
    if result is None:
        return "cannot be measured: other classes, or the folder is gone"
    low, high = result.interval()
    return f"{result.accuracy:.4f} ({low:.4f} to {high:.4f}, {len(result.labels)} test images)"


def _write_report(
    path: Path,
    fields: dict[str, Any],
    before: dict[str, Evaluation | None],
    after: dict[str, Evaluation | None],
) -> None:
    for when, results in (("before", before), ("after", after)):
        fields |= {when: {name: None if r is None else r.to_dict() for name, r in results.items()}}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
