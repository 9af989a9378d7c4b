"""Is a value the expected one? Typed, with a tolerance, and with a sentence when it is not.

The order of the questions is the order in which a reader would debug: another kind of thing, another
length or shape, another dtype, another number, and where and by how much.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError
from mnist_course.grading.values import Value, describe

KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "float"}
"""NumPy's letter for a kind of number → its name here."""


@dataclass(frozen=True)
class Tolerance:
    """How equal two values must be.

    Parameters
    ----------
    rtol, atol
        Floats agree when they differ by at most ``atol + rtol · |expected|``.
    dtype
        ``"kind"``: any float is a float, any integer an integer; ``"exact"``: the same dtype.
    """

    rtol: float = 1e-4
    atol: float = 1e-6
    dtype: str = "kind"

    def __post_init__(self) -> None:
        if self.rtol < 0 or self.atol < 0 or self.dtype not in ("kind", "exact"):
            raise InputError(f"{self} is no tolerance: two numbers from 0, and dtype kind or exact")


@dataclass(frozen=True)
class Difference:
    """Why a value is not the expected one.

    Parameters
    ----------
    message
        What differs, in words that give no expected number away.
    numbers
        The numbers that `message` keeps to itself; for the self-check only. May be empty.
    largest_error
        The largest absolute error, where the numbers could be compared.
    """

    message: str
    numbers: str = ""
    largest_error: float | None = None

    def within(self, place: str) -> "Difference":
        """Return the same difference, found inside `place` of a sequence or mapping."""
        return Difference(f"in {place}: {self.message}", self.numbers, self.largest_error)


def compare(value: Value, expected: Value, tolerance: Tolerance) -> Difference | None:
    """Return the first difference between `value` and `expected`; None when they agree.

    Examples
    --------
    >>> compare(np.float32([1, 2]), np.array([1.0, 2.0]), Tolerance())
    >>> print(compare(np.float32([1, 2]), np.array([1, 2]), Tolerance()).message)
    it holds float numbers (float32), expected integer
    """
    if expected is None or isinstance(expected, str):
        return _plain(value, expected)
    if isinstance(expected, list):
        if not isinstance(value, list):
            return _other_kind(value, f"a list or tuple of {len(expected)}")
        if len(value) != len(expected):
            return Difference(f"it has {len(value)} items, expected {len(expected)}")
        pairs = [(f"item {i}", *both) for i, both in enumerate(zip(value, expected, strict=True))]
        return _first(pairs, tolerance)
    if isinstance(expected, dict):
        if not isinstance(value, dict):
            return _other_kind(value, "a dictionary")
        if set(value) != set(expected):
            missing, extra = sorted(set(expected) - set(value)), sorted(set(value) - set(expected))
            return Difference(f"its keys differ (missing: {missing}, not expected: {extra})")
        return _first([(f"key {key!r}", value[key], expected[key]) for key in expected], tolerance)
    if not isinstance(value, np.ndarray):
        what = "a number" if expected.ndim == 0 else f"an array of shape {expected.shape}"
        return _other_kind(value, what)
    return _arrays(value, expected, tolerance)


def _plain(value: Value, expected: str | None) -> Difference | None:
    if expected is None:
        return None if value is None else _other_kind(value, "None")
    if not isinstance(value, str):
        return _other_kind(value, "a text")
    if value == expected:
        return None
    return Difference("the text differs", f"yours is {value!r}, expected {expected!r}")


def _other_kind(value: Value, expected: str) -> Difference:
    if value is None:
        return Difference(f"it is None, expected {expected}; does your function return its result?")
    return Difference(f"it is a {_kind(value)}, expected {expected}")


def _kind(value: Value) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return f"list or tuple of {len(value)}"
    if isinstance(value, dict):
        return "dictionary"
    assert value is not None
    return "number" if value.ndim == 0 else f"array of shape {value.shape}"


def _first(pairs: list[tuple[str, Value, Value]], tolerance: Tolerance) -> Difference | None:
    for place, value, expected in pairs:
        difference = compare(value, expected, tolerance)
        if difference is not None:
            return difference.within(place)
    return None


def _arrays(value: NDArray[Any], expected: NDArray[Any], tolerance: Tolerance) -> Difference | None:
    if value.shape != expected.shape:
        return Difference(f"its shape is {value.shape}, expected {expected.shape}")
    mine, theirs = KINDS[value.dtype.kind], KINDS[expected.dtype.kind]
    if mine != theirs:
        return Difference(f"it holds {mine} numbers ({value.dtype.name}), expected {theirs}")
    if tolerance.dtype == "exact" and value.dtype != expected.dtype:
        return Difference(f"its dtype is {value.dtype.name}, expected {expected.dtype.name}")
    if mine == "float":
        return _floats(value.astype(np.float64), expected.astype(np.float64), tolerance)
    return _exact(value, expected)


def _exact(value: NDArray[Any], expected: NDArray[Any]) -> Difference | None:
    wrong = value != expected  # NumPy 2 compares int64 with uint64 by value
    if not wrong.any():
        return None
    # Python's integers have no largest one: a difference of two int64 may need 65 bits
    errors = np.abs(value[wrong].astype(object) - expected[wrong].astype(object))
    return _numbers(value, expected, wrong, float(max(errors)))


def _floats(
    value: NDArray[np.float64], expected: NDArray[np.float64], tolerance: Tolerance
) -> Difference | None:
    with np.errstate(all="ignore"):  # an overflow is a difference, not news
        wrong = ~np.isclose(value, expected, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True)
        if not wrong.any():
            return None
        largest = float(np.abs(value[wrong] - expected[wrong]).max())
    return _numbers(value, expected, wrong, largest)


def _numbers(
    value: NDArray[Any], expected: NDArray[Any], wrong: NDArray[np.bool_], largest: float
) -> Difference:
    """Say how many entries are wrong, where the first one is and by how much they are off."""
    place = tuple(int(index) for index in np.argwhere(wrong)[0]) if value.ndim else ()
    numbers = f"yours is {describe(value[place])}, expected {describe(expected[place])}"
    if np.isnan(largest):
        largest_error, off = None, "one of the two is not a finite number"
    else:
        largest_error, off = largest, f"the largest error is {largest:.3g}"
    if value.ndim == 0:
        return Difference(f"the number differs; {off}", numbers, largest_error)
    count = int(wrong.sum())
    where = ", ".join(map(str, place))
    message = f"{count} of {value.size} numbers differ, the first at [{where}]; {off}"
    return Difference(message, f"at [{where}] {numbers}", largest_error)


def agreement(value: Value, labels: NDArray[Any], at_least: float) -> Difference | None:
    """Return why predicted labels do not agree with `labels` on a share of `at_least`; None if they do.

    Parameters
    ----------
    value
        Integers, one per label.
    labels
        Integers, shape (N,).
    at_least
        Share of equal entries asked for, 0 to 1.
    """
    if not isinstance(value, np.ndarray) or value.shape != labels.shape:
        what = (
            describe(value) if not isinstance(value, np.ndarray) else f"an array of shape {value.shape}"
        )
        return Difference(
            f"it is {what}, expected {len(labels)} labels in an array of shape {labels.shape}"
        )
    if KINDS[value.dtype.kind] != "integer":
        return Difference(f"it holds {value.dtype.name}, expected integer labels")
    share = float((value == labels).mean())
    if share >= at_least:
        return None
    return Difference(f"{share:.1%} of the labels are right, at least {at_least:.1%} are asked for")
