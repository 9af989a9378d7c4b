"""Giving up everything but what a submission may have, then becoming its kernel."""

import base64
import ctypes
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from . import bubblewrap, landlock
from .room import Room

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2
# Libraries are mapped, not used: PyTorch maps 3 GB at its import and occupies a tenth of that.
_ROOM_FOR_LIBRARIES = 8 << 30
_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def start(plan: Mapping[str, Any], room: Room, command: Sequence[str], *, standard_error: int) -> int:
    """Start `command` confined as `plan` says; return its process id.

    What fails before the command runs is written to `standard_error`, and the exit status is 126.
    """
    child = os.fork()
    if child:
        return child
    try:
        _become(plan, room, command, standard_error)
    except BaseException as error:
        os.write(2, f"the sandbox cannot be closed: {error}".encode())
    finally:
        os._exit(126)


def _become(
    plan: Mapping[str, Any], room: Room, command: Sequence[str], standard_error: int
) -> NoReturn:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor, replacement in ((0, nothing), (1, nothing), (2, standard_error)):
        os.dup2(replacement, descriptor)
    os.setsid()  # its own scheduling group: a hundred busy threads here weigh as much as one elsewhere
    _limit(plan["limits"], shares_user=room.uid is None and not room.namespace)
    with open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("1000")
    if room.uid is not None:
        os.setgroups([])
        os.setresgid(room.uid, room.uid, room.uid)
        os.setresuid(room.uid, room.uid, room.uid)
    # after the change of user, which would clear it
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    instructions = base64.b64decode(plan["filter"])
    environment = {
        name: text.replace("{tmp}", room.tmp).replace("{kernel}", room.inside)
        for name, text in plan["environment"].items()
    }
    if plan["sandbox"] == "bubblewrap":
        reading, writing = os.pipe()
        os.write(writing, instructions)  # a few KiB, less than a pipe holds
        os.close(writing)
        os.set_inheritable(reading, True)
        arguments = bubblewrap.command(plan, room.stage, environment, command, filter_descriptor=reading)
        os.execv(arguments[0], arguments)
    os.chdir(f"{room.tmp}/home")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(plan["visible"], plan["hidden"], writable=(room.tmp, room.inside))
    program = _Program(len(instructions) // 8, instructions)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program))
    os.execve(command[0], list(command), environment)


def _limit(limits: Mapping[str, int], *, shares_user: bool) -> None:
    memory, processes = limits["memory"], limits["processes"]
    if shares_user:  # then the kernel counts the grader's processes too; the watch counts exactly
        processes = resource.RLIM_INFINITY
    for kind, value in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_AS, memory + _ROOM_FOR_LIBRARIES),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_MEMLOCK, 1 << 20),
    ):
        _, hard = resource.getrlimit(kind)
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (lowest, lowest))
    seconds = limits["cpu_seconds"]
    resource.setrlimit(
        resource.RLIMIT_CPU, (seconds, seconds + 1)
    )  # a signal that says why, then SIGKILL


def _prctl(option: int, value: int, pointer: Any = 0) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), pointer, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option})")
