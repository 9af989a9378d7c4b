"""What every benchmark needs: fair rounds, and a result that says where it came from.

Each peer runs in a process of its own, because two libraries' thread pools in one process disturb
each other; the peers take turns, round after round, so that a busy minute of the machine hits all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
RESULTS = Path(__file__).parent / "results"
# Threads of a measuring process, for whichever library; set before NumPy is imported.
THREADS = os.environ.setdefault("OMP_NUM_THREADS", "2")
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ.setdefault(_variable, THREADS)


def seconds(action: Callable[[], object], *, repeats: int = 30, budget: float = 2.0) -> float:
    """Return the median time of one call, after warming up, within `budget` seconds."""
    start = time.perf_counter()
    action()
    first = time.perf_counter() - start
    repeats = max(1, min(repeats, int(budget / first)))
    for _ in range(repeats // 5):
        action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peers_in_turn(
    script: str,
    description: str | None,
    peers: list[str],
    measure_peer: Callable[[str], dict[str, Any]],
    *,
    rounds: int,
) -> dict[str, list[dict[str, Any]]]:
    """Return what each peer measured, round by round, in processes of their own.

    This reads the script's command line. Such a process is the script itself with `--peer NAME`, which
    prints the peer's figures as JSON and ends here.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--peer", choices=peers, help="measure one peer and print JSON")
    parser.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(measure_peer(options.peer)))
        sys.exit()
    collected: dict[str, list[dict[str, Any]]] = {peer: [] for peer in peers}
    for number in range(options.rounds):
        for peer in peers:
            print(f"round {number + 1}/{options.rounds}: {peer}", file=sys.stderr)
            run = subprocess.run(
                [sys.executable, script, "--peer", peer],
                capture_output=True,
                text=True,
                check=False,
            )
            if run.returncode:
                sys.exit(f"{peer} failed:\n{run.stderr}")
            collected[peer].append(json.loads(run.stdout.splitlines()[-1]))
    return collected


def spread(values: list[float]) -> dict[str, Any]:
    """Return every value with median, mean and standard deviation."""
    return {
        "values": values,
        "median": statistics.median(values),
        "mean": statistics.mean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
    }


def write(
    name: str,
    body: dict[str, Any],
    packages: Iterable[str],
    *,
    seeds: Iterable[int] = (),
    options: Iterable[str] | None = None,
    path: Path | None = None,
) -> Path:
    """Write results/NAME.json: the body, and where it came from.

    Parameters
    ----------
    name
        Of the script and of the file.
    body
        What was measured. A key of the description, such as ``wall_seconds``, replaces it.
    packages
        Whose versions matter; Python's is always there.
    seeds
        All that anything random was drawn from; empty when nothing was.
    options
        Of the command that makes the file; those that were typed unless given.
    path
        Of the file, if it is to be elsewhere.
    """
    described = {
        "name": name,
        "command": shlex.join(
            ["python", f"benchmarks/{name}.py", *(sys.argv[1:] if options is None else options)]
        ),
        "seeds": [*seeds],
        "commit": commit(),
        "wall_seconds": round(time.perf_counter() - STARTED, 1),
        "threads": int(THREADS),
        **surroundings(packages),
        **body,
    }
    # not earlier: it loads NumPy, whose threads are set above
    from mnist_course.files import atomic_write

    path = path or RESULTS / f"{name}.json"
    with atomic_write(path) as temporary:  # a benchmark that is stopped goes on from what is there
        temporary.write_text(json.dumps(described, indent=1) + "\n")
    return path


def commit() -> str:
    """Return the commit, with "-dirty" when the code that was measured differs from it."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", *arguments]
        folder = Path(__file__).parents[1]
        return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)

    head = git("rev-parse", "--short", "HEAD").stdout.strip()
    changed = git("diff", "--quiet", "HEAD", "--", "mnist_course", "benchmarks/*.py").returncode
    return f"{head or 'unknown'}{'-dirty' if head and changed else ''}"


def surroundings(packages: Iterable[str]) -> dict[str, Any]:
    """Return the date, the machine and the versions that a measurement belongs to."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": {
            "cpu": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(memory / 2**30, 1),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {"python": platform.python_version()}
        | {package: metadata.version(package) for package in packages},
    }


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return the rows as aligned text."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, ["-" * width for width in widths], *rows]
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor()
