"""The command line of bubblewrap: a world that holds Python, its packages and one writable folder."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_NAMESPACES = (
    "--unshare-all",
    "--unshare-user",
    "--disable-userns",
    "--die-with-parent",
    "--new-session",
)
# started by root, it would otherwise keep every capability
_NOBODY = ("--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox")


def command(
    plan: Mapping[str, Any],
    stage: str,
    environment: Mapping[str, str],
    inner: Sequence[str],
    *,
    filter_descriptor: int,
) -> list[str]:
    """Return the arguments that run `inner` in a world of its own.

    Parameters
    ----------
    plan
        ``bwrap`` (its path), ``visible`` and ``hidden`` (absolute paths).
    stage
        Folder whose ``tmp``, ``shm`` and ``kernel`` become the only writable places.
    environment
        All the variables that the inner command gets.
    inner
        The command, its path absolute.
    filter_descriptor
        Open file that holds the system-call filter.
    """
    arguments = [plan["bwrap"], *_NAMESPACES, *_NOBODY, "--proc", "/proc", "--dev", "/dev"]
    arguments += ["--bind", f"{stage}/shm", "/dev/shm", "--remount-ro", "/dev"]
    # /tmp comes before what lies below it: a checkout may
    arguments += ["--bind", f"{stage}/kernel", "/kernel", "--bind", f"{stage}/tmp", "/tmp"]
    for path in sorted(plan["visible"]):
        arguments += _show(path)
    for path in plan["hidden"]:
        arguments += _hide(path)
    # the new root is a tmpfs too, without a quota
    arguments += ["--remount-ro", "/", "--chdir", "/tmp/home", "--clearenv"]
    for name, text in environment.items():
        arguments += ["--setenv", name, text]
    return [*arguments, "--seccomp", str(filter_descriptor), "--", *inner]


def _show(path: str) -> Iterator[str]:
    """Bind `path` read-only; a link stays a link, as /lib is one to usr/lib."""
    if Path(path).is_symlink():
        yield from ("--symlink", str(Path(path).readlink()), path)
    else:
        yield from ("--ro-bind", path, path)


def _hide(path: str) -> Iterator[str]:
    """Cover `path`: a folder by an empty one, a file by the empty device."""
    if Path(path).is_dir():
        yield from ("--size", "4096", "--tmpfs", path, "--remount-ro", path)
    else:
        yield from ("--ro-bind", os.devnull, path)
