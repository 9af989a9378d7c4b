"""One training run on several processes, each with its own part of every batch.

    torchrun --nproc-per-node=2 -m mnist_course.pytorch.distributed --epochs 5 --checkpoint runs/two

Every process holds the whole network. Of each batch, process r of w trains on the examples at r::w;
before the weights change, the gradients are averaged over the processes (PyTorch's
DistributedDataParallel: gloo between CPUs, NCCL between GPUs), so that all of them take the step that
one process would take on the whole batch. Only float32's rounding differs, because sums are added in
another order, as they would be if one process read every batch from its end.

A checkpoint is the same as `mnist_course.pytorch.training.fit` writes. It does not say how many
processes there were, and any number of them can resume it.

Two things are not shared. Dropout draws other units in every process, so a network with dropout trains
as well as in one process and not to the same numbers. Batch normalisation takes its means and deviations
from the process's own part of a batch.
"""

import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mnist_course.augmentation import Augmentation
from mnist_course.data import DATASETS, ImageDataset, load
from mnist_course.errors import InputError
from mnist_course.history import History
from mnist_course.pytorch import models, training
from mnist_course.pytorch.execution import PRECISIONS, Execution, Step
from mnist_course.pytorch.processes import joined
from mnist_course.schedules import SCHEDULES
from mnist_course.training import OPTIMIZERS, Advance


def fit(
    model: nn.Module,
    train: ImageDataset,
    validation: ImageDataset | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    **options: Any,
) -> History:
    """Train `model` in place as `training.fit` does, together with the other processes of the group.

    All processes call it with equal arguments. Process 0 alone validates, reads and writes the
    checkpoint, and shows the bar.

    Parameters
    ----------
    model, train, validation
        The same in every process; the initial weights are those of process 0.
    checkpoint, resume, progress
        As in `training.fit`. The folder need not exist for the other processes.
    **options
        Of `training.fit`. Batch size, learning rate and schedule are those of the whole batch.

    Returns
    -------
    History
        Losses and accuracies over all processes; what validation found is in process 0's alone.

    Raises
    ------
    InputError
        As `training.fit`; also no group, more processes than a batch has examples, early stopping (one
        process alone would know when), or a compiled or recorded step.
    """
    if not dist.is_initialized():
        raise InputError("this process belongs to no group; start with torchrun, or use training.fit")
    if options.get("patience") is not None:
        raise InputError("early stopping is for one process; leave patience out")
    execution = options.get("execution", Execution())
    if execution.compile or execution.cuda_graph:
        raise InputError("compile and cuda_graph are for one process; leave them out")
    first = dist.get_rank() == 0
    with tempfile.TemporaryDirectory() as copy:
        if resume and checkpoint is not None:
            _copy_checkpoint(Path(checkpoint), Path(copy))
        if not first:
            validation, progress = None, False
            checkpoint = copy if resume and checkpoint is not None else None
        return training.fit(
            model,
            train,
            validation,
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
            trainer=_ShardTrainer,
            **options,
        )


class _ShardTrainer(training._Trainer):
    def __init__(
        self,
        model: nn.Module,
        train: ImageDataset,
        settings: dict[str, Any],
        augmentation: Augmentation | None,
        execution: Execution,
        device: torch.device,
    ) -> None:
        self.shard = dist.get_rank(), dist.get_world_size()
        super().__init__(model, train, settings, augmentation, execution, device)
        self.step = _ShardStep(
            DistributedDataParallel(model), self.optimizer, execution, settings, len(train)
        )

    def train_epoch(self, epoch: int, advance: Advance) -> tuple[float, float]:
        shares = super().train_epoch(epoch, advance)  # of the loss and of the accuracy
        whole = torch.tensor(shares, dtype=torch.float64, device=self.loader.device)
        dist.all_reduce(whole)
        loss, accuracy = whole.tolist()
        return loss, accuracy


class _ShardStep(Step):
    """A step whose gradients, averaged over the processes, are those of the whole batch's mean loss."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        execution: Execution,
        settings: dict[str, Any],
        examples: int,
    ) -> None:
        super().__init__(model, optimizer, execution, label_smoothing=settings["label_smoothing"])
        self.batch_size, self.examples, self.left = settings["batch_size"], examples, examples

    def reset(self) -> None:
        super().reset()
        self.left = self.examples

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        whole = min(self.batch_size, self.left)
        self.left -= whole
        if not len(labels):  # nothing in this last batch; its zero still has to reach every weight
            return logits.sum(), logits.new_zeros(())
        loss, total = super().losses(logits, labels)
        return loss * (len(labels) * dist.get_world_size() / whole), total


def _copy_checkpoint(folder: Path, copy: Path) -> None:
    """Give the files in process 0's `folder` to the other processes, each in its own `copy`."""
    files: list[Any] = [None]
    if dist.get_rank() == 0:
        files = [{path.name: path.read_bytes() for path in folder.glob("[!.]*") if path.is_file()}]
    dist.broadcast_object_list(files, src=0)
    if dist.get_rank() != 0:
        for name, content in files[0].items():
            (copy / name).write_bytes(content)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--model", default="lenet5", show_default=True, help=f"One of {', '.join(models.MODELS)}.")
@click.option("--data", default="mnist", show_default=True, help=f"One of {', '.join(DATASETS)}.")
@click.option("--epochs", default=5, show_default=True)
@click.option("--batch-size", default=64, show_default=True, help="Of all processes together.")
@click.option("--learning-rate", default=3e-3, show_default=True)
@click.option("--optimizer", default="adam", show_default=True, help=f"{', '.join(OPTIMIZERS)}.")
@click.option("--schedule", default="cosine", show_default=True, help=f"{', '.join(SCHEDULES)}.")
@click.option("--seed", default=0, show_default=True)
@click.option("--validation", default=0.0, show_default=True, help="Share of the images held out.")
@click.option("--augment", is_flag=True, help="Turn, shift and zoom each training image anew.")
@click.option("--precision", default="float32", show_default=True, help=f"{', '.join(PRECISIONS)}.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, or cuda: one GPU each.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Folder for every epoch's state.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the weights, as mnist-course train has it.",
)
@click.option(
    "--silence",
    default=120.0,
    show_default=True,
    help="Seconds until a process that hangs counts as dead.",
)
def command(
    model: str,
    data: str,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    optimizer: str,
    schedule: str,
    seed: int,
    validation: float,
    augment: bool,
    precision: str,
    device: str,
    checkpoint: Path | None,
    resume: bool,
    out: Path | None,
    silence: float,
) -> None:
    """Train one network on several processes, which torchrun starts."""
    with joined(device, advice=_advice(checkpoint), silence=silence) as group:
        network = models.build(model, seed=seed)
        training_data, held_out = load(data, "train"), None
        if validation:
            training_data, held_out = training_data.split(1 - validation, seed=seed)
        history = fit(
            network,
            training_data,
            held_out,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            schedule=schedule,
            augmentation=Augmentation() if augment else None,
            execution=Execution(precision=precision),
            seed=seed,
            device=group.device,
            checkpoint=checkpoint,
            resume=resume,
        )
        if group.rank == 0:
            if out is not None:
                history.settings |= {"model": model, "data": data}
                training.save_weights(network, out / "weights.safetensors")
                history.save(out / "history.json")
            click.echo(f"{group.world} processes on {group.device.type}")
            click.echo(f"test {training.evaluate(network, load(data, 'test'))!r}")


def _advice(checkpoint: Path | None) -> str:
    """Return what to do about a run that ended early."""
    if checkpoint is None:
        return "nothing was kept; with --checkpoint FOLDER every finished epoch is"
    arguments = [word for word in sys.argv[1:] if word != "--resume"]
    processes = os.environ.get("LOCAL_WORLD_SIZE", "2")
    start = f"torchrun --nproc-per-node={processes} -m mnist_course.pytorch.distributed"
    return f"to continue, type: {start} {shlex.join([*arguments, '--resume'])}"


def main() -> None:
    """Run the command; what the user can cause is one line and exit status 2."""
    try:
        command.main(standalone_mode=False)
    except (click.ClickException, InputError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        if os.environ.get("RANK", "0") == "0":  # the others have the same to say
            print(f"mnist_course.pytorch.distributed: {message}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
