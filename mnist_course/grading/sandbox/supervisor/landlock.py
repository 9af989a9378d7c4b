"""Landlock: the kernel refuses every file that no rule names.

Source: the Linux kernel's documentation, userspace-api/landlock.

It cannot take away what a rule for a folder above has given, so hidden paths are left out by naming
their neighbours one by one.
"""

import ctypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
# how many rights on files each version of the interface knows, from version 1 on
_RIGHTS_BY_VERSION = (13, 14, 15, 15, 16)
_NET_BIND_TCP_AND_CONNECT_TCP, _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3, 3

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# of /proc, the process itself and what says how large the machine is
_PROCESS = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems")
_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the version of Landlock that this kernel offers, 0 for none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def restrict(visible: Sequence[str], hidden: Sequence[str], *, writable: Sequence[str]) -> None:
    """Confine this thread and everything it starts, for good.

    Parameters
    ----------
    visible
        Files and folders that can be read and executed, with all below them.
    hidden
        What of that stays closed.
    writable
        Folders where everything is allowed but devices.

    Raises
    ------
    OSError
        The kernel has no Landlock, or refuses a rule.
    """
    level = version()
    handled = (1 << _RIGHTS_BY_VERSION[min(level, 5) - 1]) - 1
    ruleset = _Ruleset(
        handled,
        _NET_BIND_TCP_AND_CONNECT_TCP if level >= 4 else 0,
        _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if level >= 6 else 0,
    )
    size = 8 if level < 4 else 16 if level < 6 else 24
    descriptor = _call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0)
    closed = frozenset(map(os.path.realpath, hidden))
    for path in visible:
        for part, allowed in _without(os.path.realpath(path), closed):
            _allow(descriptor, part, allowed & handled)
    for path in writable:
        _allow(descriptor, path, handled & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV))
    for path in _DEVICES:
        _allow(descriptor, path, _READ_FILE | _WRITE_FILE)
    for path in _PROCESS:
        _allow(descriptor, path, _READ_FILE | _READ_DIR)
    _call(_RESTRICT_SELF, descriptor, 0)
    os.close(descriptor)


def _without(path: str, closed: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Yield rules for everything at and below `path` but `closed`; names stay listable."""
    if path in closed:
        return
    if not any(Path(other).is_relative_to(path) for other in closed):
        yield path, _READ
        return
    yield path, _READ_DIR
    for entry in os.scandir(path):
        if not entry.is_symlink():  # what it leads to has a rule of its own, or none
            yield from _without(entry.path, closed)


def _allow(ruleset: int, path: str, allowed: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not Path(f"/proc/self/fd/{parent}").is_dir():
            allowed &= _OF_FILES
        rule = _Rule(allowed, parent)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    answer = int(_libc.syscall(number, *arguments))
    if answer < 0:
        raise OSError(
            ctypes.get_errno(), f"Landlock (system call {number}): {os.strerror(ctypes.get_errno())}"
        )
    return answer
