"""Learning-rate schedules: functions from the number of steps taken to a learning rate.

`optimizer.learning_rate = schedule(step)` before each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mnist_course.errors import InputError

Schedule = Callable[[int], float]

SCHEDULES = ("constant", "cosine", "one_cycle")
"""The schedules that `fit` knows by name."""


def by_name(name: str, learning_rate: float, steps: int) -> Schedule:
    """Return the named schedule over a run of `steps` steps, with its defaults.

    Raises
    ------
    InputError
        The name is unknown.
    """
    if name == "constant":
        return lambda step: learning_rate
    if name == "cosine":
        return cosine(learning_rate, steps)
    if name == "one_cycle":
        return one_cycle(learning_rate, steps)
    raise InputError(f"unknown schedule {name!r}; choose one of {', '.join(SCHEDULES)}")


def step_decay(learning_rate: float, every: int, factor: float = 0.1) -> Schedule:
    """Multiply the learning rate by `factor` after each `every` steps.

    >>> [round(step_decay(0.1, every=10)(step), 4) for step in (0, 9, 10, 25)]
    [0.1, 0.1, 0.01, 0.001]
    """
    _check(learning_rate, every)
    return lambda step: float(learning_rate * factor ** (step // every))


def cosine(learning_rate: float, steps: int, *, final: float = 0.0) -> Schedule:
    r"""Fall from `learning_rate` to `final` in `steps` steps along half a cosine.

    :math:`\eta_t = \eta_f + \frac12(\eta_0 - \eta_f)(1 + \cos(\pi t / T))`
    (Loshchilov and Hutter 2017, without restarts). After `steps` it stays at `final`.

    >>> [round(cosine(1.0, steps=4)(step), 4) for step in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """
    _check(learning_rate, steps)
    return lambda step: _half_cosine(learning_rate, final, min(step / steps, 1.0))


def one_cycle(
    learning_rate: float,
    steps: int,
    *,
    rising: float = 0.3,
    start_factor: float = 25.0,
    final_factor: float = 1e4,
    straight: bool = False,
) -> Schedule:
    """Rise to `learning_rate`, then fall far below the start (Smith and Topin 2019).

    Parameters
    ----------
    learning_rate : float
        The peak.
    steps : int
        Length of the whole run, at least 2.
    rising : float in (0, 1)
        Share of the steps spent rising.
    start_factor, final_factor : float
        Begin at peak / start_factor and end at peak / start_factor / final_factor. The
        values, defaults included, are those of `torch.optim.lr_scheduler.OneCycleLR`, whose
        cycling of the momentum is left out.
    straight : bool
        Rise and fall along straight lines (``anneal_strategy="linear"`` there), not half cosines.
    """
    _check(learning_rate, steps)
    if not 0 < rising < 1 or steps < 2:
        raise ValueError(f"rising is {rising} of {steps} steps, expected 0 < rising < 1, steps > 1")
    start = learning_rate / start_factor
    peak, last = rising * steps - 1, steps - 1
    between = _line if straight else _half_cosine

    def at(step: int) -> float:
        if step <= peak:
            return between(start, learning_rate, step / peak)
        return between(learning_rate, start / final_factor, min((step - peak) / (last - peak), 1.0))

    return at


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _line(start: float, end: float, progress: float) -> float:
    return start + (end - start) * progress


def _check(learning_rate: float, steps: int) -> None:
    if not learning_rate > 0 or steps < 1:
        raise ValueError(f"learning_rate is {learning_rate} over {steps} steps, expected both above 0")
