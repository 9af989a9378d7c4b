"""Whether a kernel lost its time to its neighbours.

The time was up, and the kernel had little of the processor. It may have slept, or a crowd of other
processes may have kept it from running. Linux counts, for each thread, the time for which it could have
run and had no processor; that tells the two apart, in a sandbox or not.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil
from jupyter_client.manager import KernelManager

BUSY = 0.8
"""A kernel that computed for this share of its time had all that one thread can have."""


@dataclass(frozen=True)
class Usage:
    """What a kernel's processes had of the processor, and what they waited for it, in seconds.

    Parameters
    ----------
    used
        Processor time of all of them, those that have ended included.
    waited
        Process and thread → time for which it could have run and did not; None where nobody counts it.
    """

    used: float
    waited: dict[tuple[int, int], float] | None


def usage(manager: KernelManager) -> Usage | None:
    """Return what a kernel has used so far; None where it cannot be known."""
    try:
        first = psutil.Process(manager.provisioner.pid)  # type: ignore[union-attr]
        processes = first.children(recursive=True)
        if not hasattr(manager.provisioner, "seal"):  # without a sandbox, the first is the kernel
            processes.append(first)
    except (psutil.Error, TypeError, ValueError, AttributeError):
        return None
    used = 0.0
    waited: dict[tuple[int, int], float] = {}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
        waited |= _waited(process.pid)
    return Usage(used, waited or None)


def _waited(pid: int) -> dict[tuple[int, int], float]:
    found = {}
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
                nanoseconds = thread.joinpath("schedstat").read_text().split()[1]
                found[pid, int(thread.name)] = int(nanoseconds) / 1e9
    return found


def starved(before: Usage | None, after: Usage | None, seconds: float) -> bool:
    """Return whether a kernel wanted the processor for `seconds` and others had it.

    A kernel whose own processes wait for each other is not starved: together they had enough. Where
    nobody counts the waiting, who had little counts as starved.
    """
    if before is None or after is None or after.used - before.used >= BUSY * seconds:
        return False
    if after.waited is None:
        return True
    earlier = before.waited or {}
    waited = sum(time - earlier.get(thread, 0.0) for thread, time in after.waited.items())
    return waited >= (1 - BUSY) * seconds
