"""Digits that users put right, kept so that ``mnist-course finetune`` can learn them.

Only for a service that was told to: a picture of handwriting belongs to the person who wrote it.
"""

import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError
from mnist_course.files import atomic_write
from mnist_course.runs import writable


class UnknownId(Exception):
    """No picture is kept under this id: it never was one, is too old, or was corrected already."""


class NoRoom(Exception):
    """The folder holds as much as it may."""


@dataclass(frozen=True)
class Most:
    """How much is kept.

    Parameters
    ----------
    pending, seconds
        Pictures in memory that may still be corrected, and how long each may.
    files, total_bytes
        Of the folder.
    """

    pending: int = 2_000
    seconds: float = 3600.0
    files: int = 10_000
    total_bytes: int = 20 << 20


class Corrections:
    """A folder with one folder of 28×28 PNG pictures per class, as ``mnist-course finetune`` reads it.

    Parameters
    ----------
    folder
        Created if it isn't there. What it holds already counts towards the limits.
    class_names
        Of the network; the names of the folders.
    most
        The limits.
    clock
        Seconds, as of `time.monotonic`.

    Raises
    ------
    InputError
        The folder cannot be written, or a class's name cannot name a folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        class_names: tuple[str, ...],
        most: Most = Most(),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name in class_names:
            if not name or name.startswith(".") or "/" in name or os.sep in name:
                raise InputError(
                    f"the class {name!r} cannot name a folder, so no corrections can be kept"
                )
        self.folder = writable(Path(folder))
        self.class_names, self.most, self._clock = class_names, most, clock
        kept = [path.stat().st_size for path in self.folder.glob("*/*") if path.is_file()]
        self.files, self.total_bytes = len(kept), sum(kept)
        self._pending: OrderedDict[str, tuple[float, NDArray[np.uint8]]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, image: NDArray[np.uint8]) -> str:
        """Hold a picture (28, 28) in memory and return the id under which it can be corrected.

        Nobody who was not told an id can guess it.
        """
        key = secrets.token_hex(16)
        with self._lock:
            self._forget()
            self._pending[key] = (self._clock(), image)
            if len(self._pending) > self.most.pending:
                self._pending.popitem(last=False)
        return key

    def keep(self, key: str, label: str) -> None:
        """Write the picture that was remembered as `key` into the folder of its true class.

        Raises
        ------
        InputError
            The network has no such class.
        UnknownId, NoRoom
            See there. Without room the picture can still be corrected later.
        """
        if label not in self.class_names:
            raise InputError(f"unknown label {label!r}; choose one of {', '.join(self.class_names)}")
        with self._lock:
            self._forget()
            if key not in self._pending:
                raise UnknownId(key)
            content = _png(self._pending[key][1])
            if self.files >= self.most.files or self.total_bytes + len(content) > self.most.total_bytes:
                raise NoRoom
            with atomic_write(self.folder / label / f"{key}.png") as temporary:
                temporary.write_bytes(content)
            del self._pending[key]
            self.files += 1
            self.total_bytes += len(content)

    def _forget(self) -> None:
        """Drop the pictures whose time is over; the oldest stand first."""
        oldest = self._clock() - self.most.seconds
        while self._pending and next(iter(self._pending.values()))[0] < oldest:
            self._pending.popitem(last=False)


def _png(image: NDArray[np.uint8]) -> bytes:
    from io import BytesIO

    from PIL import Image

    content = BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()
