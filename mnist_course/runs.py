"""The folders that the command line's training leaves, and the data it knows by name."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from mnist_course.data import DATASETS, ImageDataset, load
from mnist_course.errors import InputError
from mnist_course.history import History
from mnist_course.models import FRAMEWORKS, MODELS, build, wing

WEIGHTS = {"numpy": "weights.npz", "keras": "weights.keras", "pytorch": "weights.safetensors"}
RUNS = Path("runs")

TEST_SHARE = 0.2
"""Of the pictures in a user's folder; the rest is for training."""


def writable(folder: Path) -> Path:
    """Create `folder`, or say why it cannot be written before any time is spent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder} is a file, or lies in one; name a folder to write into") from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder} is not writable; choose another folder with --out")
    return folder


def newest() -> Path:
    """Return the folder under runs/ in which a training ended last."""
    finished = sorted(RUNS.glob("*/history.json"), key=lambda path: path.stat().st_mtime)
    if not finished:
        raise InputError("no trained network under runs/; run mnist-course train, or use --from")
    return finished[-1].parent


def opened(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Load the network that training left in `folder`.

    Returns
    -------
    network, training, settings
        The network, its wing's `training` module, and the settings of its history. Among these are
        always ``model``, ``framework``, ``data``, ``class_names``, and ``earlier``: on what else the
        network was trained before.

    Raises
    ------
    InputError
        No such folder, or not the files of a network of this course.
    """
    if folder.is_file():
        raise InputError(f"{folder} is a file; name the folder that train or finetune wrote it into")
    if not (folder / "history.json").exists():
        raise InputError(f"{folder} holds no history.json; name a folder that train wrote")
    settings = History.load(folder / "history.json").settings
    framework, model = settings.get("framework"), settings.get("model")
    settings.setdefault("data", "mnist")
    earlier = settings.setdefault("earlier", [])
    names = (framework, model, settings["data"], *(earlier if isinstance(earlier, list) else [None]))
    if (
        not all(isinstance(name, str) for name in names)
        or framework not in FRAMEWORKS
        or model not in MODELS
    ):
        raise InputError(f"{folder}/history.json names no network of this course; train it again")
    training, weights = wing(framework, "training"), folder / WEIGHTS[framework]
    network = build(model, framework)
    if framework == "pytorch" and "fine_tuning" in settings:
        from mnist_course.finetuning.storage import load_merged

        network, settings["class_names"] = load_merged(network, weights)
    else:
        training.load_weights(network, weights)
        settings["class_names"] = load(settings["data"], "test").class_names
    return network, training, settings


def images(name: str, split: str) -> ImageDataset:
    """Load a data set by its name, or the pictures in a folder with a sub-folder per class.

    A folder's pictures are split by the rule that a fifth of each class, drawn once and for all, is for
    testing.

    Raises
    ------
    InputError
        Neither a data set nor a folder, or too few pictures to keep some back.
    """
    if name in DATASETS:
        return load(name, split)
    if not Path(name).exists():
        raise InputError(
            f"unknown data set {name!r}; choose one of {', '.join(DATASETS)}, or name a folder with a"
            " folder of pictures per class"
        )
    if split not in ("train", "test"):
        raise InputError(f"unknown split {split!r}; choose 'train' or 'test'")
    train, test = _divided(name)
    if not (train.counts().all() and test.counts().all()):
        raise InputError(
            f"{name} holds {len(train) + len(test)} pictures of {len(train.class_names)} classes, too"
            " few to keep some back for testing; five or more of each class will do"
        )
    return train if split == "train" else test


@cache
def _divided(folder: str) -> tuple[ImageDataset, ImageDataset]:
    from mnist_course.data.folders import load_folder

    return load_folder(folder).split(1 - TEST_SHARE, seed=0)


def draw(history: History, path: Path) -> None:
    """Write the learning curves as a picture."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    from mnist_course import plotting
    from mnist_course.files import atomic_write

    plotting.use_style()
    figure = plotting.learning_curves(history)[0].figure
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)
