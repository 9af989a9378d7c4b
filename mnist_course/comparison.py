"""Is one network better than another on the same images? McNemar's test and the paired difference.

It answers the question for two *trained networks*. Whether a *recipe* is better needs several seeds of
each; chapter 9 shows how the two questions get different answers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation


@dataclass(frozen=True)
class McNemar:
    """How two classifiers' answers to the same images differ.

    Parameters
    ----------
    images
        Number of images, N.
    only_first, only_second
        Images that only the first, or only the second, classifies correctly.

    References
    ----------
    McNemar, Note on the sampling error of the difference between correlated proportions, 1947.
    """

    images: int
    only_first: int
    only_second: int

    @property
    def discordant(self) -> int:
        """Images that exactly one of the two classifies correctly; the others decide nothing."""
        return self.only_first + self.only_second

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the exact test; 1 when the two never disagree.

        If both were equally good, each discordant image would be the first one's with probability ½.
        """
        from scipy.stats import binomtest

        if not self.discordant:
            return 1.0
        return float(binomtest(self.only_first, self.discordant).pvalue)

    @property
    def statistic(self) -> float:
        """McNemar's statistic, (b − c)² / (b + c); about χ² with one degree of freedom."""
        return (self.only_first - self.only_second) ** 2 / max(self.discordant, 1)

    @property
    def approximate_p_value(self) -> float:
        """The p-value of `statistic` under χ²; near `p_value` from some 25 discordant images on."""
        from scipy.stats import chi2

        return float(chi2.sf(self.statistic, df=1))

    @property
    def difference(self) -> float:
        """Accuracy of the first minus accuracy of the second, between −1 and 1."""
        return (self.only_first - self.only_second) / self.images

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return Wald's interval of the difference after adding ½ to each cell of the 2×2 table.

        References
        ----------
        Agresti and Min, Simple improved confidence intervals for comparing matched proportions, 2005.
        """
        from scipy.stats import norm

        total, surplus = self.images + 2, self.only_first - self.only_second
        spread = np.sqrt(self.discordant + 1 - surplus**2 / total) / total
        half = norm.ppf((1 + confidence) / 2) * spread
        return max(-1.0, float(surplus / total - half)), min(1.0, float(surplus / total + half))

    def to_dict(self) -> dict[str, Any]:
        """Return counts, difference, interval and p-value for JSON."""
        return {
            "images": self.images,
            "only_first": self.only_first,
            "only_second": self.only_second,
            "difference": self.difference,
            "interval": list(self.interval()),
            "p_value": self.p_value,
        }

    def __str__(self) -> str:
        low, high = self.interval()
        return (
            f"difference {self.difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f};"
            f" of {self.images} images {self.only_first} only by the first,"
            f" {self.only_second} only by the second; exact p = {self.p_value:.2g}"
        )


def mcnemar(first: Evaluation, second: Evaluation) -> McNemar:
    """Compare two classifiers on the same images, in the same order.

    Raises
    ------
    InputError
        The evaluations have different labels or class names, so they belong to different data.

    Examples
    --------
    >>> labels = np.zeros(4, int)
    >>> always_right = Evaluation(np.array([[1.0, 0.0]] * 4), labels, ("no", "yes"))
    >>> half_right = Evaluation(np.array([[1.0, 0.0], [0.0, 1.0]] * 2), labels, ("no", "yes"))
    >>> result = mcnemar(always_right, half_right)
    >>> result.only_first, result.only_second, result.p_value
    (2, 0, 0.5)
    """
    if first.class_names != second.class_names:
        raise InputError(
            f"the evaluations have different classes, {first.class_names} and {second.class_names};"
            " compare two networks on the same data"
        )
    if not np.array_equal(first.labels, second.labels):
        raise InputError(
            f"the evaluations have different labels ({len(first.labels)} and {len(second.labels)});"
            " compare two networks on the same images in the same order"
        )
    one, other = first.predictions == first.labels, second.predictions == second.labels
    return McNemar(len(one), int((one & ~other).sum()), int((other & ~one).sum()))
