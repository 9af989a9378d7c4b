"""Attempts to see, stop, slow or read other processes, and to be more than a nobody."""

import ctypes
import os
import resource
import signal
from pathlib import Path

from mnist_course.grading.sandbox.attempts.target import Target, what_worked

_PTRACE_ATTACH, _PTRACE_DETACH = 16, 17
_libc = ctypes.CDLL(None, use_errno=True)


class _Piece(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("length", ctypes.c_size_t))


def signal_others(target: Target) -> str:
    """Send a signal to a process of the grader's, by three calls."""
    if _means_another(target):
        return ""
    return what_worked(
        {
            "kill": lambda: os.kill(target.victim, signal.SIGUSR1),
            "killpg": lambda: os.killpg(target.victim, signal.SIGUSR1),
            "pidfd": lambda: signal.pidfd_send_signal(os.pidfd_open(target.victim), signal.SIGUSR1),
        }
    )


def trace_others(target: Target) -> str:
    """Attach to a process of the grader's, and read its memory."""
    reached: list[str] = []
    if _means_another(target):
        return ""
    if _libc.ptrace(_PTRACE_ATTACH, target.victim, None, None) == 0:
        os.waitpid(target.victim, 0x40000000)  # __WALL
        _libc.ptrace(_PTRACE_DETACH, target.victim, None, None)
        reached.append("ptrace")
    byte = ctypes.create_string_buffer(1)
    local = _Piece(ctypes.addressof(byte), 1)
    remote = _Piece(ctypes.addressof(byte), 1)  # wherever: a permission is refused before a bad address
    ctypes.set_errno(0)
    answer = _libc.process_vm_readv(target.victim, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    if answer >= 0 or ctypes.get_errno() == 14:  # EFAULT
        reached.append("process_vm_readv")
    return ", ".join(reached)


def slow_others(target: Target) -> str:
    """Lower the priority and the limits of a process of the grader's, tie it to one core."""
    if _means_another(target):
        return ""
    return what_worked(
        {
            "priority": lambda: os.setpriority(os.PRIO_PROCESS, target.victim, 19),
            "limits": lambda: resource.prlimit(target.victim, resource.RLIMIT_CORE, (0, 0)),
        }
    )


def see_others(target: Target) -> str:
    """Read the command line and the environment of a process of the grader's."""
    return _holding_secret(target, [f"/proc/{target.victim}/{name}" for name in ("cmdline", "environ")])


def environment(target: Target) -> str:
    """Find the grader's secret in the environment of the kernel or of what started it."""
    numbers = ("self", "1", os.getppid(), target.grader)
    return _holding_secret(target, [f"/proc/{number}/environ" for number in numbers])


def _holding_secret(target: Target, paths: list[str]) -> str:
    holding = []
    for path in paths:
        try:
            content = Path(path).read_bytes()
        except OSError:
            continue
        if target.secret.encode() in content:
            holding.append(path)
    return ", ".join(holding)


def _means_another(target: Target) -> bool:
    """Whether the victim's number is here that of a process of the sandbox's own."""
    path = f"/proc/{target.victim}/cmdline"
    return Path(path).exists() and os.access(path, os.R_OK) and not _holding_secret(target, [path])


def privileges(target: Target) -> str:
    """Have capabilities, another user's id, or a way to get them."""
    found = []
    status = dict(
        line.split(":\t", 1)
        for line in Path("/proc/self/status").read_text().splitlines()
        if ":\t" in line
    )
    found += [name for name in ("CapEff", "CapPrm", "CapAmb") if int(status[name], 16)]
    if status["NoNewPrivs"].strip() != "1":
        found.append("set-user-id programs")
    if status["Seccomp"].strip() != "2":
        found.append("every system call")
    if os.getuid() == 0 or os.getgroups() not in ([], [os.getgid()]):
        found.append(f"user {os.getuid()}, groups {os.getgroups()}")
    return ", ".join(found)


def own_session(target: Target) -> str:
    """Leave the session, and with it the share of the processor that one submission has."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
        except OSError:
            os._exit(1)
        os._exit(0)
    return "" if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) else "a session of its own"
