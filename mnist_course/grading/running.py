"""Running cells in a kernel that may be an enemy, and collecting what they publish.

The kernel is another process; where there is a sandbox, one that sees nothing of this machine.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnist_course.grading.contention import starved, usage
from mnist_course.grading.inputs import PUBLIC_SEED, seed_inside
from mnist_course.grading.kernels import KernelNeverStarted, reason_of_death, started_kernel
from mnist_course.grading.limits import Limits
from mnist_course.grading.opening import opening_source
from mnist_course.grading.wire import CellRun, Ended, Wire

__all__ = ["CellRun", "KernelNeverStarted", "Run", "run_cells"]


@dataclass(frozen=True)
class Run:
    """What a kernel made of the cells.

    Parameters
    ----------
    cells
        One per cell that was started, in order.
    ended
        ``"finished"``, ``"deadline"``, ``"died"`` (the kernel's process ended), ``"flood"`` (it sent
        more than the limits allow) or ``"cut"`` (it lives and cannot be reached any more).
    seconds
        From the first cell's start to the end.
    why
        What the sandbox knows about the kernel's death; may be empty.
    starved
        Whether the time was up because others had the processor.
    """

    cells: tuple[CellRun, ...]
    ended: str
    seconds: float
    why: str = ""
    starved: bool = False


def run_cells(
    sources: Sequence[str],
    *,
    sandbox: str | None,
    limits: Limits,
    hide: Sequence[str] = (),
    seed: int = PUBLIC_SEED,
    unseen: NDArray[np.uint8] | None = None,
) -> Run:
    """Run `sources` one after the other in a fresh kernel; an exception does not stop the next cell.

    Parameters
    ----------
    sources
        The cells' texts.
    sandbox
        What to put around the kernel: a name from `sandbox.available`, or None for nothing.
    limits
        What the run may use.
    hide
        Modules of this package that the sandbox must not contain.
    seed
        Seed of the run; `exercise_rng` in the kernel follows from it.
    unseen
        What `unseen()` returns there.

    Raises
    ------
    KernelNeverStarted
        When the kernel did not start, or did not take the seed.
    """
    with started_kernel(sandbox, limits, tuple(hide)) as manager:
        wire = Wire(manager, limits)
        try:
            wire.greet()
            getattr(manager.provisioner, "seal", lambda: None)()  # nobody else connects from now on
            wire.open(opening_source(seed_inside(seed), unseen))
            before = usage(manager)
            start = time.monotonic()
            cells: list[CellRun] = []
            ended = "finished"
            for source in sources:
                cell = CellRun()
                cells.append(cell)
                try:
                    wire.execute(source, start + limits.seconds, cell)
                except Ended as end:
                    ended = end.why
                    break
            seconds = time.monotonic() - start
            why = reason_of_death(manager) if ended == "died" else ""
            waited = ended == "deadline" and starved(before, usage(manager), seconds)
            return Run(tuple(cells), ended, seconds, why, waited)
        finally:
            wire.close()
