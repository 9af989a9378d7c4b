"""What runs below this process: who, how much memory, and how all of it ends."""

import ctypes
import os
import resource
import signal
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Make every process below this one, however it detaches itself, stay below this one."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(pid: int) -> Iterator[int]:
    """Yield every process below `pid`, a parent before its children."""
    try:
        lists = [task.joinpath("children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # it has ended meanwhile
        return
    for child in map(int, " ".join(lists).split()):
        yield child
        yield from descendants(child)


def excess(child: int, limits: Mapping[str, int]) -> str:
    """Return which limit `child` and everything below it pass together, or "" for none.

    A limit of the kernel's (``RLIMIT_…``) holds for one process; a student may start many.
    """
    memory = tasks = 0
    for pid in (child, *descendants(child)):
        memory_of_one, tasks_of_one = _usage(pid)
        memory += memory_of_one
        tasks += tasks_of_one
    if memory > limits["memory"]:
        return f"memory: more than {limits['memory'] >> 20} MiB in use"
    if tasks > limits["processes"] + 2:  # bubblewrap's own two
        return f"processes: more than {limits['processes']} at once"
    return ""


def deleted_bytes(pid: int) -> int:
    """Return the size of the files that `pid` and everything below it hold open without a name."""
    sizes: dict[tuple[int, int], int] = {}
    for holder in (pid, *descendants(pid)):
        try:
            for opened in Path(f"/proc/{holder}/fd").iterdir():
                found = opened.stat()
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                    sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
        except OSError:  # closed, or ended, meanwhile
            continue
    return sum(sizes.values())


def _usage(pid: int) -> tuple[int, int]:
    """Memory that only this sandbox pays for (bytes: anonymous and shared, no library), and threads."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    kilobytes = sum(int(fields.get(name, "0").split()[0]) for name in ("RssAnon", "RssShmem"))
    return kilobytes * 1024, int(fields.get("Threads", "0"))


def kill_all(uid: int | None) -> None:
    """Kill every process below this one until there is none.

    Killing by `uid`, where the sandbox has one of its own, takes all its processes in one system call,
    which a process that only forks and exits cannot outrun.
    """
    while True:
        if uid is not None:
            _kill_user(uid)
        for pid in descendants(os.getpid()):
            try:
                # a chain of forks ends where a child cannot fork
                _forbid_forks(pid)
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def _forbid_forks(pid: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))


def _kill_user(uid: int) -> None:
    killer = os.fork()
    if killer == 0:
        try:
            os.setresuid(uid, uid, uid)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(killer, 0)
