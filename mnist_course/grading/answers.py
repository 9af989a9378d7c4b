"""The key to an exercise under one seed: what its solution and its misconceptions publish.

Runs on the trusted side only. One kernel does it all: the whole notebook first; then, for every
misconception, the wrong cell and the cells after the one it replaces. Going through the misconceptions
from the last cell to the first leaves everything before them as the solution made it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError
from mnist_course.grading.exercise import Cell, Exercise
from mnist_course.grading.inputs import draw_unseen
from mnist_course.grading.judging import KeyedProbe, Mistake
from mnist_course.grading.limits import Limits
from mnist_course.grading.running import CellRun, run_cells
from mnist_course.grading.values import Value, decode


@dataclass(frozen=True)
class Key:
    """Everything that is needed to judge submissions of one exercise under one seed.

    Parameters
    ----------
    exercise
        The exercise.
    seed
        The seed that drew the inputs.
    probes
        Name → key of each probe, in order.
    images
        The unseen images, uint8 of shape (N, 28, 28), where the exercise has any.
    """

    exercise: Exercise
    seed: int
    probes: dict[str, KeyedProbe] = field(default_factory=dict)
    images: NDArray[np.uint8] | None = None


def answer(exercise: Exercise, seed: int, *, limits: Limits | None = None) -> Key:
    """Run the solution and the misconceptions under `seed`.

    Parameters
    ----------
    exercise
        The exercise.
    seed
        Any non-negative integer.
    limits
        Bounds of one pass; by default `Limits` with the exercise's own deadline.

    Raises
    ------
    InputError
        When the exercise's own solution fails; the message names the cell.
    """
    steps, wrong = exercise.steps, _from_last_to_first(exercise)
    passes = [steps]
    for cell in wrong:
        position = _position(steps, cell)
        passes.append((cell, *steps[position + 1 :]))
    limits = limits or Limits(seconds=exercise.seconds)
    unseen = (
        draw_unseen(seed, exercise.unseen["data"], exercise.unseen["count"]) if exercise.unseen else None
    )
    images = None if unseen is None else unseen.images
    bounds = replace(
        limits,
        seconds=limits.seconds * len(passes),
        messages=limits.messages * len(passes),
        output_bytes=limits.output_bytes * len(passes),
    )
    sources = [cell.source for one_pass in passes for cell in one_pass]
    run = run_cells(sources, sandbox=None, limits=bounds, seed=seed, unseen=images)
    outcomes = iter(run.cells)
    published = [_values(exercise, one_pass, outcomes) for one_pass in passes]
    if run.ended != "finished" and len(run.cells) < len(steps):
        raise InputError(f"{exercise.name}: its own solution did not finish ({run.ended})")

    probes = {}
    order = [cell.id for cell in exercise.misconceptions]
    for probe in exercise.probes:
        expected = published[0][probe.name]
        if probe.ours.get("at_least") is not None:
            if unseen is None:
                raise InputError(
                    f"{exercise.name}: {probe.name} has at_least but the exercise no unseen images"
                )
            expected = unseen.labels.astype(np.int64)
        keyed = KeyedProbe(probe.name, expected, probe.tolerance, probe.ours.get("at_least"))
        if keyed.difference(published[0][probe.name]) is not None:
            raise InputError(f"{exercise.name}: its own solution fails {probe.name}")
        probes[probe.name] = replace(keyed, mistakes=_mistakes(keyed, order, wrong, published[1:]))
    return Key(exercise, seed, probes, images)


def _from_last_to_first(exercise: Exercise) -> list[Cell]:
    steps = exercise.steps
    return sorted(exercise.misconceptions, key=lambda cell: -_position(steps, cell))


def _position(steps: Sequence[Cell], misconception: Cell) -> int:
    """Return where the cell stands that `misconception` gets wrong."""
    for position, cell in enumerate(steps):
        if cell.id == misconception.ours["of"]:
            return position
    raise InputError(
        f"{misconception.name} is a misconception of {misconception.ours['of']!r}, which is no cell"
    )


def _values(exercise: Exercise, cells: Sequence[Cell], outcomes: Any) -> dict[str, Value]:
    """Return probe → value of one pass; the solution's own pass must be complete."""
    values: dict[str, Value] = {}
    own = cells[0].kind != "misconception"
    for cell in cells:
        outcome: CellRun | None = next(outcomes, None)
        if own and (outcome is None or outcome.error is not None):
            why = (
                "was not reached"
                if outcome is None or outcome.error is None
                else ": ".join(outcome.error)
            )
            raise InputError(f"{exercise.name}: its own solution fails in the cell {cell.id}: {why}")
        if cell.kind != "probe" or outcome is None:
            continue
        nodes = [bundle["value"] for bundle in outcome.bundles if bundle.get("name") == cell.name]
        if len(nodes) == 1:
            values[cell.name] = decode(nodes[0])
        elif own:
            raise InputError(
                f"{exercise.name}: the cell {cell.id} published {cell.name} {len(nodes)} times"
            )
    return values


def _mistakes(
    keyed: KeyedProbe,
    order: Sequence[str],
    wrong: Sequence[Cell],
    published: Sequence[dict[str, Value]],
) -> tuple[Mistake, ...]:
    """Return what misconceptions publish for a probe where that is wrong, in the author's order."""
    found = []
    for cell, values in zip(wrong, published, strict=True):
        if keyed.name in values and keyed.difference(values[keyed.name]) is not None:
            found.append(
                (order.index(cell.id), Mistake(cell.name, cell.ours["says"], values[keyed.name]))
            )
    return tuple(mistake for _, mistake in sorted(found, key=lambda pair: pair[0]))
