"""Reading notebooks that may come from an attacker: plain JSON within limits, and nothing is executed.

A notebook is taken apart with `json` alone. No notebook library sees it: they upgrade old formats,
validate at length and follow what the file says about itself.
"""

import json
import os
import re
import stat
from itertools import accumulate
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.files import atomic_write

MAX_BYTES = 10 * 2**20
MAX_CELLS = 2_000
MAX_CELL_SOURCE = 200_000
MAX_JSON_DEPTH = 60

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
OPENING = b"[{"
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read_notebook(
    source: bytes | str | os.PathLike[str], *, max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """Return the notebook as plain dicts and lists; every cell's source is one string.

    Parameters
    ----------
    source
        The file's bytes, or its path. A path must be a plain file: links are not followed.
    max_bytes
        Larger files are refused before they are read.

    Raises
    ------
    InputError
        When it is not a notebook of format 4 within the limits; the message says what it is instead.
    """
    data = source if isinstance(source, bytes) else read_bytes(Path(source), max_bytes)
    if len(data) > max_bytes:
        raise InputError(
            f"it has {len(data):,} bytes; at most {max_bytes:,} are accepted: clear its outputs"
        )
    notebook = _parse(data)
    version = notebook.get("nbformat")
    if version != 4 or type(version) is not int:
        found = f"version {version}" if type(version) is int else "no version"
        raise InputError(f"it is a notebook of {found}, expected 4; open and save it in JupyterLab")
    cells = notebook.get("cells")
    if type(cells) is not list or len(cells) > MAX_CELLS:
        raise InputError(f"it has no list of at most {MAX_CELLS} cells; save it again in JupyterLab")
    if type(notebook.get("metadata", {})) is not dict:
        raise InputError("its metadata are no mapping; save it again in JupyterLab")
    return {
        **notebook,
        "metadata": notebook.get("metadata", {}),
        "cells": [_cell(cell, number) for number, cell in enumerate(cells)],
    }


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the bytes of a plain file, at most one more than `max_bytes`; links are not followed.

    Raises
    ------
    InputError
        When it cannot be read, or is a link, a folder, a pipe or a device.
    """
    # O_NOFOLLOW: a submission may be a link to the solution. O_NONBLOCK: or a pipe that never ends.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags)
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # of what was opened, whatever the name means now
        os.close(handle)
        raise InputError("it is not a plain file")
    with os.fdopen(handle, "rb") as file:
        return file.read(max_bytes + 1)


def _parse(data: bytes) -> dict[str, Any]:
    if _depth(data) > MAX_JSON_DEPTH:
        raise InputError(f"its JSON is nested more than {MAX_JSON_DEPTH} deep; it is no notebook")
    try:
        notebook = json.loads(data.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        what = _known_kind(data)
        raise InputError(f"it is {what or 'not valid JSON'}, expected a Jupyter notebook") from error
    if type(notebook) is not dict:
        raise InputError("it is JSON, but not a notebook")
    return notebook


def _depth(data: bytes) -> int:
    """Return how deep brackets are nested outside of strings."""
    brackets = STRING.sub(b"", data).translate(None, delete=NO_BRACKETS)
    return max(accumulate(1 if bracket in OPENING else -1 for bracket in brackets), default=0)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _known_kind(data: bytes) -> str | None:
    """Name a file that is commonly handed in by mistake."""
    beginnings = {
        b"%PDF": "a PDF",
        b"PK": "a zip archive",
        b"\x1f\x8b": "a gzip archive",
        b"<": "an HTML or XML page",
        b"\x89PNG": "a picture",
        b"\xff\xd8": "a picture",
    }
    if not data.strip():
        return "empty"
    return next((kind for start, kind in beginnings.items() if data.lstrip().startswith(start)), None)


def _cell(cell: object, number: int) -> dict[str, Any]:
    if type(cell) is not dict or cell.get("cell_type") not in ("code", "markdown", "raw"):
        raise InputError(f"its cell {number} is no cell; save it again in JupyterLab")
    source = cell.get("source", "")
    if type(source) is list and all(type(line) is str for line in source):
        source = "".join(source)
    if type(source) is not str or len(source) > MAX_CELL_SOURCE:
        raise InputError(
            f"the text of its cell {number} is missing or over {MAX_CELL_SOURCE:,} characters"
        )
    metadata = cell.get("metadata", {})
    if type(metadata) is not dict:
        raise InputError(f"the metadata of its cell {number} are no mapping")
    # JSON may spell half of a surrogate pair, which no file and no kernel accepts
    source = source.encode("utf-8", "replace").decode()
    return {**cell, "source": source, "metadata": metadata}


def write_notebook(notebook: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write `notebook` as JupyterLab does: one space of indentation, sources as lists of lines."""
    cells = [{**cell, "source": cell["source"].splitlines(keepends=True)} for cell in notebook["cells"]]
    text = json.dumps({**notebook, "cells": cells}, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
