"""Attempts to take more memory, disk, processes and files than a submission may have.

These compare what was got with the limits that hold inside, so they know nothing of the target but
its limits; see `Allowance`.
"""

import ctypes
import mmap
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 20
_A_LOOK = 1  # second: where a quota is no wall but a watch, that has to notice
_FEW = 16 << 20  # what a quota may be passed by before it counts
_libc = ctypes.CDLL(None, use_errno=True)
LEFT_BEHIND = "mnist-course-left-behind"  # the name of processes that want to stay
_PLACES = (
    "/",
    "/tmp",
    "/dev",
    "/dev/shm",
    "/run",
    "/var/tmp",
    "/var/lock",
    "/sys",
    "/proc",
    "/root",
    "/home",
    "/mnt",
)


@dataclass(frozen=True)
class Allowance:
    """The limits that should hold; bytes, and numbers of things."""

    memory: int
    processes: int
    file_bytes: int
    disk_bytes: int
    open_files: int


def one_large_block(allowance: Allowance) -> str:
    """Fill more memory than allowed, in one process."""
    try:
        block = bytearray(allowance.memory + _FEW)
    except MemoryError:
        return ""
    return f"{len(block) >> 20} MiB"


def memory_of_nobody(allowance: Allowance) -> str:
    """Get memory that no process owns: anonymous files, System V segments."""
    got = []
    if hasattr(os, "memfd_create"):
        try:
            os.close(os.memfd_create("x"))
            got.append("memfd")
        except OSError:
            pass
    if _libc.shmget(0, 4096, 0o1600) >= 0:
        got.append("a System V segment")
    return ", ".join(got)


def one_large_file(allowance: Allowance) -> str:
    """Write one file beyond its size limit."""
    path = Path("large")
    try:
        with path.open("wb") as file:
            file.seek(allowance.file_bytes)
            try:
                file.write(b"x" * _CHUNK)
                file.flush()
            except OSError:
                return ""
        return f"{path.stat().st_size >> 20} MiB"
    finally:
        path.unlink(missing_ok=True)


def disk(allowance: Allowance) -> str:
    """Fill every place that can be written to, with files of the allowed size."""
    here = Path.cwd()
    places = [str(here), *_PLACES, *map(str, here.parents), *_below("/dev")]
    written = 0
    made: list[Path] = []
    try:
        for number, place in enumerate(dict.fromkeys(places)):
            for path, size in _fill(place, f"full-{number}", allowance.file_bytes // 2):
                made.append(path)
                written += size
                if written > allowance.disk_bytes + _FEW:
                    time.sleep(_A_LOOK)
                    return f"{written >> 20} MiB and more, the last in {place}"
        return ""
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def many_files(allowance: Allowance) -> str:
    """Make more empty files than a quota of bytes stops."""
    folder = Path("many")
    folder.mkdir()
    most = allowance.disk_bytes // 4096
    made = 0
    try:
        while made <= most:
            (folder / str(made)).touch()
            made += 1
        time.sleep(_A_LOOK)
    except OSError:
        return ""
    finally:
        for number in range(made):
            (folder / str(number)).unlink()
        folder.rmdir()
    return f"{made} files"


def many_threads(allowance: Allowance) -> str:
    """Start more threads than processes are allowed."""
    stop = threading.Event()
    threads = []
    try:
        for _ in range(allowance.processes + 1):
            thread = threading.Thread(target=stop.wait)
            thread.start()
            threads.append(thread)
    except RuntimeError:  # can't start new thread
        return ""
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return f"{len(threads)} threads"


def many_open_files(allowance: Allowance) -> str:
    """Open more files than allowed."""
    opened: list[int] = []
    try:
        while len(opened) <= allowance.open_files:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return ""
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return f"{len(opened)} open files"


def shared_memory(allowance: Allowance) -> None:
    """Fill shared memory that no limit of one process counts, and wait to be stopped."""
    block = mmap.mmap(-1, 4 * allowance.memory)
    for start in range(0, len(block), _CHUNK):
        block[start : start + _CHUNK] = b"x" * _CHUNK
    threading.Event().wait()


def memory_of_many(allowance: Allowance) -> None:
    """Let several processes fill memory, each within its limit, and wait to be stopped."""
    for _ in range(4):
        if os.fork() == 0:
            break
    block = bytearray(allowance.memory // 2)
    block[:: mmap.PAGESIZE] = b"x" * len(block[:: mmap.PAGESIZE])
    threading.Event().wait()


def fork_bomb(allowance: Allowance) -> None:
    """Fork as fast as it goes, every child too."""
    while True:
        try:
            os.fork()
        except OSError:
            continue


def endless_loop(allowance: Allowance) -> None:
    """Use the processor until stopped."""
    while True:
        pass


def outlive(allowance: Allowance) -> None:
    """Leave processes behind that have nothing to do with the kernel any more, and end the kernel."""
    for _ in range(8):
        if os.fork() == 0:
            if os.fork() == 0:
                os.execv("/bin/sleep", [LEFT_BEHIND, "600"])
            os._exit(0)
    os._exit(0)


def _fill(place: str, name: str, size: int) -> Iterator[tuple[Path, int]]:
    number = 0
    while True:
        path = Path(place, f"{name}-{number}")
        number += 1
        try:
            file = path.open("wb", buffering=0)
        except OSError:
            return
        written = 0
        with file:
            try:
                while written < size:
                    written += file.write(b"x" * _CHUNK) or 0
            except OSError:
                pass
        yield path, written
        if written < size:
            return


def _below(folder: str) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
