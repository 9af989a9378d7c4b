"""The command `mnist-course`.

Bad input ends in one line on stderr and exit status 2, Ctrl-C in 130. Frameworks are imported by the
command that needs them, so `--help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from mnist_course import __version__
from mnist_course.augmentation import Augmentation
from mnist_course.data import DATASETS
from mnist_course.deployment.commands import export as export_network
from mnist_course.deployment.commands import serve
from mnist_course.errors import InputError
from mnist_course.finetuning.commands import finetune
from mnist_course.models import MODELS, build, wing
from mnist_course.runs import RUNS, WEIGHTS, draw, images, newest, opened, writable
from mnist_course.schedules import SCHEDULES
from mnist_course.training import OPTIMIZERS


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """From Pixels to Fine-Tuning: train, evaluate and use the course's networks, offline."""


@cli.command()
@click.option("--model", default="lenet5", show_default=True, help=f"One of {', '.join(MODELS)}.")
@click.option("--framework", default="pytorch", show_default=True, help="pytorch, keras or numpy.")
@click.option("--data", default="mnist", show_default=True, help=f"One of {', '.join(DATASETS)}.")
@click.option("--epochs", default=5, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--learning-rate", default=3e-3, show_default=True)
@click.option("--optimizer", default="adam", show_default=True, help=f"{', '.join(OPTIMIZERS)}.")
@click.option("--schedule", default="cosine", show_default=True, help=f"{', '.join(SCHEDULES)}.")
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
@click.option(
    "--augment", is_flag=True, help="Turn, shift and zoom each training image anew (not NumPy)."
)
@click.option("--device", default="auto", show_default=True, help="PyTorch only: auto, cpu, cuda, mps.")
@click.option(
    "--precision", default="float32", show_default=True, help="PyTorch only: float32, bf16, fp16."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write  [runs/MODEL-FRAMEWORK].")
@click.option("--resume", is_flag=True, help="Continue an interrupted run in the same folder.")
def train(
    model: str,
    framework: str,
    data: str,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    optimizer: str,
    schedule: str,
    seed: int,
    validation: float,
    patience: int | None,
    augment: bool,
    device: str,
    precision: str,
    out: Path | None,
    resume: bool,
) -> None:
    """Train a network and write its weights, history and learning curve."""
    from mnist_course.data import load

    training = wing(framework, "training")
    network = build(model, framework, seed=seed)
    training_data, held_out = load(data, "train"), None
    if patience is not None and not validation:
        validation = 0.1
    if validation:
        training_data, held_out = training_data.split(1 - validation, seed=seed)
    folder = writable(out or RUNS / f"{model}-{framework}")
    options: dict[str, Any] = {}
    if framework == "pytorch":
        how = wing(framework, "execution").Execution(precision)
        options = {"device": device, "execution": how}
        click.echo(f"training on {wing(framework, 'devices').describe(device)}")
    elif precision != "float32":
        raise InputError(f"{framework} trains in float32 here; {precision} needs --framework pytorch")
    if augment:
        if framework == "numpy":
            raise InputError("numpy has no augmentation; train with --framework pytorch or keras")
        options["augmentation"] = Augmentation()
    try:
        history = training.fit(
            network,
            training_data,
            held_out,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            schedule=schedule,
            seed=seed,
            patience=patience,
            checkpoint=folder / "checkpoint",
            resume=resume,
            **options,
        )
    except KeyboardInterrupt:
        click.echo(f"interrupted; the same command with --resume continues in {folder}", err=True)
        raise click.exceptions.Exit(130) from None
    history.settings |= {"model": model, "data": data}
    training.save_weights(network, folder / WEIGHTS[framework])
    history.save(folder / "history.json")
    draw(history, folder / "learning_curve.png")
    result = training.evaluate(network, load(data, "test"))
    click.echo(f"test {result!r}")
    click.echo(f"wrote {WEIGHTS[framework]}, history.json and learning_curve.png to {folder}")


@cli.command()
@click.option(
    "--from", "folder", type=click.Path(path_type=Path), help="A folder that train or finetune wrote."
)
@click.option(
    "--data", default=None, help=f"{', '.join(DATASETS)} or a folder  [what it was trained on]."
)
@click.option("--split", default="test", show_default=True, help="test or train.")
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="Also write every measure to this file."
)
def evaluate(folder: Path | None, data: str | None, split: str, file: Path | None) -> None:
    """Print a trained network's accuracy with its interval, and precision, recall and F1 per class."""
    network, training, settings = opened(folder or newest())
    name = data or settings["data"]
    result = training.evaluate(network, images(name, split).renumbered(settings["class_names"]))
    click.echo(f"{settings['model']} ({settings['framework']}) on {name} {split}")
    click.echo(result.report())
    if file is not None:
        result.save(file)
        click.echo(f"wrote {file}")


@cli.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option(
    "--from", "folder", type=click.Path(path_type=Path), help="A folder that train or finetune wrote."
)
@click.option(
    "--steps",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder for the pictures of the steps, NAME-steps.png  [this one].",
)
def predict(pictures: tuple[Path, ...], folder: Path | None, steps: Path) -> None:
    """Read the digits on photographs or scans of paper.

    Prints each line of writing with the confidence in each digit, and draws the steps from the page to
    what the network sees. A picture of 28×28 pixels counts as such an image already; to a network of
    other classes than the ten digits every picture does, made smaller.
    """
    from mnist_course.reading import read_all

    for line in read_all(pictures, folder, steps):
        click.echo(line)


@cli.group()
def data() -> None:
    """Look at, verify and export the embedded data."""


@data.command()
def info() -> None:
    """List the data sets."""
    from mnist_course.data import load

    click.echo("data set   split  images  classes")
    for name in DATASETS:
        for split in ("train", "test"):
            images = load(name, split)
            click.echo(
                f"{name:<9}  {split:<5}  {len(images):6d}  {', '.join(images.class_names)}"
                f"  ({images.counts().min()} to {images.counts().max()} images each)"
            )


@data.command()
def verify() -> None:
    """Check every embedded file against its SHA-256."""
    from mnist_course.data.idx import read_idx
    from mnist_course.data.loading import ARCHIVES, SHA256

    for name, sha256 in SHA256.items():
        array = read_idx(ARCHIVES / f"{name}.xz", sha256=sha256)
        click.echo(f"ok  {sha256}  {name}  {array.shape}")


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "layout", default="idx", show_default=True, help="idx, npz or torchvision.")
def export(folder: Path, layout: str) -> None:
    """Write MNIST into FOLDER for other software."""
    from mnist_course.data.export import export_mnist

    for path in export_mnist(writable(folder), layout):
        click.echo(f"wrote {path}")


class _Exercises(click.Group):
    """`mnist_course.grading.commands`, imported when one of them is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from mnist_course.grading.commands import exercises

        return exercises.list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from mnist_course.grading.commands import exercises

        return exercises.get_command(ctx, cmd_name)


cli.add_command(finetune)
cli.add_command(export_network)
cli.add_command(serve)
cli.add_command(
    _Exercises("exercises", help="Hand out exercises, check one's own answers, grade a class.")
)


def _fail(message: str) -> NoReturn:
    click.echo(f"mnist-course: {' '.join(message.split())}", err=True)
    sys.exit(2)


def main() -> None:
    """Run the command line; turn what the user can cause into one line and an exit status."""
    try:
        status = cli.main(standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except click.ClickException as error:
        hint = "; see mnist-course --help" if isinstance(error, click.UsageError) else ""
        _fail(error.format_message() + hint)
    except InputError as error:
        _fail(str(error))
    except BrokenPipeError:  # `mnist-course data info | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"cannot read or write{where}: {error.strerror or error}")
    sys.exit(status if isinstance(status, int) else 0)
