"""The verdict on one published value: right, a mistake that teachers know, or wrong in some other way.

A `KeyedProbe` is the key to one question. It is made by running the instructor's solution and
misconceptions, and used in two places: in the trusted process that gives points, and, under the public
seed, in the student's own notebook.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_course.grading.comparison import Difference, Tolerance, agreement, compare
from mnist_course.grading.values import Value, decode, encode

SAME_MISTAKE = 0.98
"""Predicted labels that agree with a misconception's on this share are that misconception."""


@dataclass(frozen=True)
class Mistake:
    """What a known wrong solution publishes for one probe.

    Parameters
    ----------
    name
        The misconception, for example ``"kernel-flipped"``.
    says
        The sentence that helps.
    value
        What it publishes under the key's seed.
    """

    name: str
    says: str
    value: Value


@dataclass(frozen=True)
class Judgement:
    """The verdict on one value."""

    correct: bool
    message: str = ""
    numbers: str = ""
    largest_error: float | None = None
    misconception: str | None = None
    says: str = ""


@dataclass(frozen=True)
class KeyedProbe:
    """A probe with everything that is needed to judge a value.

    Parameters
    ----------
    name
        The probe, for example ``"output-size/dilation"``.
    expected
        The solution's value; where `at_least` is given, the true labels of the unseen images.
    tolerance
        How equal a value must be.
    at_least
        Share of labels that must be right instead, 0 to 1.
    mistakes
        Known mistakes, the likeliest first; only those whose value would not count as right.
    """

    name: str
    expected: Value
    tolerance: Tolerance
    at_least: float | None = None
    mistakes: tuple[Mistake, ...] = ()

    def difference(self, value: Value) -> Difference | None:
        """Return why `value` is not right; None when it is."""
        if self.at_least is not None:
            assert isinstance(self.expected, np.ndarray)
            return agreement(value, self.expected, self.at_least)
        return compare(value, self.expected, self.tolerance)

    def judge(self, value: Value) -> Judgement:
        """Return the verdict on `value`."""
        difference = self.difference(value)
        if difference is None:
            return Judgement(correct=True)
        for mistake in self.mistakes:
            if self._is(mistake, value):
                name, says = mistake.name, mistake.says
                break
        else:
            name, says = None, ""
        return Judgement(
            False, difference.message, difference.numbers, difference.largest_error, name, says
        )

    def _is(self, mistake: Mistake, value: Value) -> bool:
        if self.at_least is None:
            return compare(value, mistake.value, self.tolerance) is None
        labels = mistake.value
        return isinstance(labels, np.ndarray) and agreement(value, labels, SAME_MISTAKE) is None

    def check(self, value: Value) -> str:
        """Return the self-check's text: ✓, or ✗ with what differs and what to think about."""
        judgement = self.judge(value)
        if judgement.correct:
            return f"✓ {self.name}"
        lines = [f"✗ {self.name}: {judgement.message}"]
        if judgement.numbers:
            lines.append(f"  {judgement.numbers}")
        lines.append(f"  {judgement.says}" if judgement.says else f'  hint("{self.name}") may help')
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON that `from_json` reads back."""
        return {
            "expected": encode(self.expected),
            "tolerance": [self.tolerance.rtol, self.tolerance.atol, self.tolerance.dtype],
            "at_least": self.at_least,
            "mistakes": [[one.name, one.says, encode(one.value)] for one in self.mistakes],
        }

    @classmethod
    def from_json(cls, name: str, content: dict[str, Any]) -> "KeyedProbe":
        """Return the probe that `to_json` wrote."""
        mistakes = tuple(Mistake(who, says, decode(node)) for who, says, node in content["mistakes"])
        tolerance = Tolerance(*content["tolerance"])
        return cls(name, decode(content["expected"]), tolerance, content["at_least"], mistakes)
