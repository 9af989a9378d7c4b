"""Attempts to read or change files outside."""

import contextlib
import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from mnist_course.grading.sandbox.attempts.target import Target, what_worked

_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def read_secret(target: Target) -> str:
    """Read a world-readable file by its path."""
    return _read([target.secret_file])


def read_checkout(target: Target) -> str:
    """Read the checkout around the package, where exercises and results may lie."""
    around = Path(target.checkout)
    return _read([str(around / name) for name in ("pyproject.toml", "README.md", "exercises", ".git")])


def read_system(target: Target) -> str:
    """Read accounts, homes and logs."""
    return _read(["/etc/passwd", "/etc/hostname", "/var/log", "/home", "/run", "/var/lib/dpkg/status"])


def read_hidden(target: Target) -> str:
    """Read what the exercise hides: the labels of test images, the modules to write."""
    below = [str(path) for hidden in target.hidden for path in Path(hidden).glob("**/*.py")]
    return _read([*(path for path in target.hidden if not Path(path).is_dir()), *below])


def read_through_processes(target: Target) -> str:
    """Read the file through the root folder, working directory or open files of other processes."""
    roots = [f"/proc/{name}/root" for name in ("1", "self", str(target.grader), str(os.getppid()))]
    return _read([f"{root}{target.secret_file}" for root in roots])


def read_through_descriptors(target: Target) -> str:
    """Climb from every inherited open file to the file."""
    up = "/".join([".."] * 12)
    opened = [f"/proc/self/fd/{descriptor}" for descriptor in range(256)]
    return _read([f"{path}/{up}{target.secret_file}" for path in opened if Path(path).is_dir()])


def link_secret(target: Target) -> str:
    """Bring the file in by a hard link, and read it through a symbolic one."""
    linked, pointing = Path("linked"), Path("pointing")
    try:
        with contextlib.suppress(OSError):
            os.link(target.secret_file, linked)
        pointing.symlink_to(target.secret_file)
        return _read([str(path) for path in (linked, pointing)])
    finally:
        linked.unlink(missing_ok=True)
        pointing.unlink(missing_ok=True)


def write_outside(target: Target) -> str:
    """Make a file in a world-writable folder, and change, truncate, rename and delete one there."""
    there = Path(target.folder)
    return what_worked(
        {
            "created": lambda: (there / "new").write_text("here"),
            "changed": lambda: (there / "changed").write_text("mine"),
            "truncated": lambda: os.truncate(there / "truncated", 0),
            "renamed": lambda: (there / "renamed").rename(there / "elsewhere"),
            "deleted": lambda: (there / "deleted").unlink(),
        }
    )


def write_environment(target: Target) -> str:
    """Open files of the environment, the package and the system for writing; make new ones."""
    opened = []
    library = str(Path(os.__file__).parent)
    for folder in (target.prefix, target.package, library, "/usr", "/etc", "/bin"):
        files = [entry.path for entry in _entries(folder) if entry.is_file()]
        new = f"{folder}/mnist-course-was-here"
        for path in [*files[:3], new]:
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            except OSError:
                continue
            os.close(descriptor)
            opened.append(path)
            if path == new:
                Path(path).unlink()
    return ", ".join(opened)


def mount(target: Target) -> str:
    """Enter new namespaces, mount, change the root folder."""
    done = []
    for name, flag in (("user", 0x10000000), ("mount", 0x00020000), ("network", 0x40000000)):
        child = os.fork()
        if child == 0:
            os._exit(1 if _libc.unshare(flag) else 0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            done.append(f"a {name} namespace")
    child = os.fork()
    if child == 0:
        here = str(Path.cwd()).encode()
        mounted = _libc.mount(b"tmpfs", here, b"tmpfs", 0, b"") == 0
        if mounted:
            _libc.umount2(here, _MNT_DETACH)
        rooted = _libc.chroot(b".") == 0
        os._exit(0 if mounted or rooted else 1)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        done.append("a mount or another root")
    return ", ".join(done)


def _read(paths: Iterable[str]) -> str:
    """Return which of `paths` hold anything that can be read."""
    got = []
    for path in paths:
        try:
            content = [*Path(path).iterdir()] if Path(path).is_dir() else Path(path).read_bytes()
        except OSError:
            continue
        if content:
            got.append(path)
    return ", ".join(got)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []
