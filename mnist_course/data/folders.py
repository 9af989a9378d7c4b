"""Your own images in: a folder with one sub-folder of pictures per class."""

import os
import stat
from pathlib import Path

import numpy as np

from mnist_course.data.dataset import ImageDataset
from mnist_course.data.pictures import read_picture
from mnist_course.errors import InputError

MAX_CLASSES = 256
"""Labels are bytes."""

MAX_IMAGES = 100_000
MAX_FILE_BYTES = 16 << 20
"""More than a picture of the largest size takes in any of the formats that are read."""

BYSTANDERS = ("Thumbs.db", "desktop.ini")
"""What file managers leave in a folder, beside names that begin with a dot."""


def load_folder(path: str | os.PathLike[str], *, progress: bool = True) -> ImageDataset:
    """Read a folder with a folder of pictures per class: ``cats/a.png``, ``cats/b.jpg``, ``dogs/c.png``.

    Every picture becomes 28×28 grey bytes, light on black, by `mnist_course.data.pictures.read_picture`.
    Hidden files and what file managers leave are passed over; anything else that is no picture is
    refused, because a training set that lost images silently is worse than none. Links are refused too,
    so nothing outside the folder is read.

    Parameters
    ----------
    path
        The outer folder. Classes are numbered in the order of their names, 2 before 10.
    progress
        Show a bar.

    Returns
    -------
    ImageDataset
        Class by class, in each in the order of the files' names.

    Raises
    ------
    InputError
        No such folder, fewer than two classes, an empty class, a folder within a class, a link, too many
        or too large files, or a picture that cannot be used. The message names the file.
    """
    from tqdm import tqdm

    root = Path(path)
    classes = _classes(root)
    files = [_pictures(root / name) for name in classes]
    total = sum(map(len, files))
    if total > MAX_IMAGES:
        raise InputError(f"{root} holds {total:,} pictures; expected at most {MAX_IMAGES:,}")
    images = np.empty((total, 28, 28), np.uint8)
    every = (file for of_class in files for file in of_class)
    shown = tqdm(
        every, total=total, unit="img", mininterval=0.5, **({} if progress else {"disable": True})
    )
    for index, file in enumerate(shown):
        images[index] = read_picture(file)
    labels = np.repeat(np.arange(len(classes), dtype=np.uint8), [len(of_class) for of_class in files])
    return ImageDataset(images, labels, tuple(classes))


def _classes(root: Path) -> list[str]:
    """Return the names of the class folders, in the order of their labels."""
    entries = _entries(root)
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            raise InputError(
                f"{entry.path} {_kind(entry)}; expected only folders here, one per class, with its"
                " pictures in it"
            )
    names = [entry.name for entry in entries]
    if len(names) < 2:
        found = f"only the class {names[0]}" if names else "no folders"
        raise InputError(f"{root} holds {found}; expected two or more, one folder of pictures per class")
    if len(names) > MAX_CLASSES:
        raise InputError(f"{root} holds {len(names)} folders; expected at most {MAX_CLASSES} classes")
    numbers = all(name.isascii() and name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name) if numbers else 0, name))


def _pictures(folder: Path) -> list[Path]:
    """Return the files of a class, in the order of their names."""
    entries = _entries(folder)
    if not entries:
        raise InputError(f"{folder} is empty; put its pictures into it, or remove it")
    for entry in entries:
        if not entry.is_file(follow_symlinks=False):  # to open a pipe would wait for ever
            raise InputError(f"{entry.path} {_kind(entry)}; expected only pictures here")
        size = entry.stat(follow_symlinks=False).st_size
        if size > MAX_FILE_BYTES:
            raise InputError(
                f"{entry.path} has {size / 2**20:.0f} MiB; expected a picture of at most"
                f" {MAX_FILE_BYTES >> 20} MiB"
            )
    return [Path(entry.path) for entry in entries]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in `folder`, sorted by name, without what nobody put there on purpose."""
    found: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in BYSTANDERS:
                    continue
                if not entry.name.isprintable():  # it would be printed, and a class's name kept
                    raise InputError(
                        f"{folder} holds the name {entry.name!a}, which cannot be printed; rename it"
                    )
                found.append(entry)
                if len(found) > MAX_IMAGES:
                    raise InputError(
                        f"{folder} holds more than {MAX_IMAGES:,} files; name a smaller one"
                    )
    except FileNotFoundError:
        raise InputError(
            f"{folder} does not exist; expected a folder with one folder per class"
        ) from None
    except NotADirectoryError:
        raise InputError(f"{folder} is a file; expected a folder with one folder per class") from None
    except PermissionError:
        raise InputError(f"{folder} may not be read; change its permissions") from None
    return sorted(found, key=lambda entry: entry.name)


def _kind(entry: os.DirEntry[str]) -> str:
    """Say what an entry is that should have been something else."""
    mode = entry.stat(follow_symlinks=False).st_mode
    kinds = {stat.S_IFLNK: "is a link", stat.S_IFDIR: "is a folder", stat.S_IFREG: "is a file"}
    return kinds.get(stat.S_IFMT(mode), "is no ordinary file")
