"""The commands ``mnist-course export`` and ``mnist-course serve``."""

from pathlib import Path
from typing import Any

import click

from mnist_course.errors import InputError
from mnist_course.models import part
from mnist_course.runs import images, newest, opened


def _room(name: str) -> Any:
    """Import a module of this package, or say what is not installed."""
    return part(f"mnist_course.deployment.{name}", wanted_by="this", extra="service")


@click.command()
@click.option(
    "--from", "folder", type=click.Path(path_type=Path), help="A folder that train or finetune wrote."
)
@click.option(
    "--to",
    "path",
    type=click.Path(path_type=Path),
    default=Path("model.onnx"),
    show_default=True,
    help="The file to write.",
)
def export(folder: Path | None, path: Path) -> None:
    """Write a trained network as an ONNX file, which runs without this course and its frameworks."""
    network, _, settings = opened(folder or newest())
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file to write, such as {path / 'model.onnx'}")
    if settings["framework"] != "pytorch":
        from mnist_course.equivalence import convert

        network = convert(network, to="pytorch")
    exporting = _room("exporting")
    try:
        train = images(settings["data"], "train")
    except InputError as error:
        click.echo(f"the file will hold nothing to measure drift by: {error}", err=True)
        train = None
    difference = exporting.export(
        network, path, name=settings["model"], class_names=settings["class_names"], train=train
    )
    click.echo(
        f"wrote {path}: {settings['model']}, opset {exporting.OPSET}, uint8 images (N, 28, 28) in,"
        f" probabilities of {len(settings['class_names'])} classes out"
    )
    click.echo(f"onnxruntime and PyTorch differ by {difference:.1e} at most")


@click.command()
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=Path("model.onnx"),
    show_default=True,
    help="A file that export wrote.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 is every network.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--rate", default=10.0, show_default=True, help="Requests per second of one client; 0: any."
)
@click.option(
    "--seconds", default=10.0, show_default=True, help="For a request to arrive, or be answered."
)
@click.option("--threads", default=2, show_default=True, help="Pictures worked on at a time.")
@click.option("--proxy", help="Address of a reverse proxy that says who the clients are.")
@click.option(
    "--corrections",
    type=click.Path(path_type=Path),
    help="Folder for pictures that users correct  [none are kept].",
)
def serve(
    model: Path,
    host: str,
    port: int,
    rate: float,
    seconds: float,
    threads: int,
    proxy: str | None,
    corrections: Path | None,
) -> None:
    """Answer pictures of digits over HTTP: POST a PNG or JPEG to /predict."""
    limits = _room("limits").Limits(rate=rate, seconds=seconds, threads=threads)
    network = _room("network").OnnxNetwork.load(model)
    server, service = _room("server"), _room("service")
    folder = None
    if corrections is not None:
        folder = _room("corrections").Corrections(corrections, network.class_names)
        click.echo(f"pictures that users correct are kept in {corrections}; tell them")
    app = service.create_app(network, limits, folder)
    listener = server.listen(host, port)
    server.serve(
        app,
        limits,
        listener,
        proxy=proxy,
        when_ready=lambda address: click.echo(
            f"{network.name} answers at {address}/predict; Ctrl-C ends it"
        ),
    )
