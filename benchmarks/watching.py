"""Running a command that grades a class, and looking at its memory while the class is done."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import grading_class
import psutil

MARKS = (0.25, 0.5, 0.95)  # shares of the class done when memory is read; after it come the reports
SECONDS_BETWEEN_LOOKS = 0.5  # looking costs time itself


def watch(command: list[str], folder: Path, looks: Looks | None = None) -> float:
    """Run `command` in `folder`, looking at its memory now and then; return its seconds."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = psutil.Popen(
            command,
            cwd=folder,
            env=grading_class.environment(),
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        while process.poll() is None:
            if looks is not None:
                looks.look(process)
            with suppress(psutil.TimeoutExpired):
                process.wait(SECONDS_BETWEEN_LOOKS)
        seconds = time.perf_counter() - start
        errors.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{errors.read()}")
    return seconds


class Looks:
    """Peak memory of a grading process, and of its workers, while `results` fill up to `count`."""

    def __init__(self, results: Path, count: int, workers: Sequence[psutil.Process]) -> None:
        self.results, self.workers = results, workers
        self.marks = sorted({max(1, round(share * count)) for share in MARKS})
        self.peaks: dict[str, dict[str, Any]] = {}

    def look(self, process: psutil.Process) -> None:
        """Note the peaks so far, under every mark that was reached and as those of the whole run."""
        done = len(list(self.results.glob("[!.]*.json")))
        try:
            workers = self.workers or [one for one in process.children() if _is_worker(one)]
            peaks = {"grader": _peak(process), "workers": sorted(_peak(one) for one in workers)}
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError, StopIteration):
            return  # one of them has just ended
        self.peaks.pop("at the end", None)
        while self.marks and self.marks[0] <= done:
            self.peaks[f"after {self.marks.pop(0)}"] = peaks
        self.peaks["at the end"] = peaks


def _is_worker(process: psutil.Process) -> bool:
    return "spawn_main" in " ".join(process.cmdline())


def _peak(process: psutil.Process) -> int:
    """Return the most bytes that a process ever had in memory."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024
