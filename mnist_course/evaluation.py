"""How good is a classifier? Numbers with their uncertainty, per class and in all."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A network's outputs on a labelled data set, and every measure computed from them.

    Parameters
    ----------
    logits
        Shape (N, K), any float type; K is the number of classes. Log-probabilities are logits too.
    labels
        Integer, shape (N,).
    class_names
        K names.

    Raises
    ------
    InputError
        Shapes that do not fit, no example, or outputs that are not finite.

    Examples
    --------
    >>> outputs = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    >>> result = Evaluation(outputs, np.array([0, 1, 1, 1]), ("no", "yes"))
    >>> result.accuracy
    0.75
    >>> result.confusion.tolist()
    [[1, 0], [1, 2]]
    """

    logits: NDArray[Any]
    labels: NDArray[Any]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        count, classes = len(self.labels), len(self.class_names)
        if self.logits.shape != (count, classes) or count == 0:
            raise InputError(
                f"logits have shape {self.logits.shape}; expected ({count}, {classes}),"
                " a row per label and a column per class, and at least one row"
            )
        if not np.isfinite(self.logits).all():
            raise InputError("the network's outputs are not finite; its weights are unusable")

    @cached_property
    def log_probabilities(self) -> NDArray[np.float64]:
        """Log-softmax of the logits, shape (N, K), computed without overflow."""
        shifted: NDArray[np.float64] = self.logits.astype(np.float64)
        shifted -= shifted.max(axis=1, keepdims=True)
        shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return shifted

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the logits, shape (N, K)."""
        return np.exp(self.log_probabilities)

    @cached_property
    def predictions(self) -> NDArray[np.intp]:
        """The class with the largest logit, shape (N,)."""
        classes: NDArray[np.intp] = self.logits.argmax(axis=1)
        return classes

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return float(-self.log_probabilities[np.arange(len(self.labels)), self.labels].mean())

    @property
    def correct(self) -> int:
        """Number of examples classified correctly."""
        return int((self.predictions == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Share of examples classified correctly."""
        return self.correct / len(self.labels)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the Wilson score interval of the accuracy.

        It states the uncertainty that comes from testing on finitely many images, not the one between
        training runs.

        References
        ----------
        Wilson, Probable inference, the law of succession, and statistical inference, 1927.
        """
        from scipy.stats import binomtest

        test = binomtest(self.correct, len(self.labels))
        low, high = test.proportion_ci(confidence, method="wilson")
        return float(low), float(high)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Confusion matrix, shape (K, K): row = true class, column = predicted class."""
        classes = len(self.class_names)
        cells = self.labels.astype(np.int64) * classes + self.predictions
        return np.bincount(cells, minlength=classes**2).reshape(classes, classes)

    @cached_property
    def per_class(self) -> dict[str, NDArray[np.float64]]:
        """Precision, recall and F1 of every class, each of shape (K,); 0 where undefined."""
        from sklearn.metrics import precision_recall_fscore_support

        names = ("precision", "recall", "f1")
        values = precision_recall_fscore_support(
            self.labels,
            self.predictions,
            labels=range(len(self.class_names)),
            zero_division=0.0,
        )
        return dict(zip(names, values, strict=False))

    def __repr__(self) -> str:
        low, high = self.interval()
        return (
            f"Evaluation(accuracy {self.accuracy:.4f}, 95 % interval {low:.4f} to {high:.4f},"
            f" {len(self.labels)} images)"
        )

    def report(self) -> str:
        """Return a text table: accuracy with its interval, then a line per class."""
        low, high = self.interval()
        width = max(map(len, (*self.class_names, "class")))
        supports = np.bincount(self.labels, minlength=len(self.class_names))
        lines = [
            f"accuracy {self.accuracy:.4f}  (95 % interval {low:.4f} to {high:.4f},"
            f" {self.correct} of {len(self.labels)} images)",
            "",
            f"{'class':<{width}}  precision  recall      F1  images",
        ]
        columns = zip(self.class_names, *self.per_class.values(), supports, strict=True)
        for name, precision, recall, f1, support in columns:
            lines.append(f"{name:<{width}}  {precision:9.4f}  {recall:6.4f}  {f1:6.4f}  {support:6d}")
        return "\n".join(lines)
