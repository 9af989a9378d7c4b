"""How good is a classifier? Numbers with their uncertainty, per class and in all.

`Evaluation` is what every wing's `evaluate` returns. Chapter 9 computes each measure by hand.
"""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnist_course.calibration import Calibration, best_temperature, calibrate
from mnist_course.checks import integer_labels, require_logits, require_probabilities
from mnist_course.errors import InputError
from mnist_course.files import atomic_write
from mnist_course.tables import html_table, text_table


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A network's outputs on a labelled data set, and every measure computed from them.

    Parameters
    ----------
    logits
        Shape (N, K), any float type; K is the number of classes. Log-probabilities are logits too; for
        probabilities there is `from_probabilities`.
    labels
        Integer, shape (N,).
    class_names
        K names.

    Raises
    ------
    InputError
        Shapes that do not fit, no example, one-hot labels or labels without a class, outputs that are
        not finite, or probabilities where logits belong.

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
        logits, names = np.asarray(self.logits), tuple(self.class_names)
        labels = integer_labels(self.labels, len(names))
        require_logits(logits, (len(labels), len(names)))
        for name, value in (("logits", logits), ("labels", labels), ("class_names", names)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_probabilities(
        cls, probabilities: ArrayLike, labels: ArrayLike, class_names: tuple[str, ...]
    ) -> "Evaluation":
        """Evaluate a classifier that states probabilities, for example after a softmax layer.

        Parameters
        ----------
        probabilities
            Shape (N, K); no number is negative and every row adds up to 1.
        labels, class_names
            As for the class.

        Raises
        ------
        InputError
            The rows are no distributions, or whatever the class refuses.

        Examples
        --------
        >>> result = Evaluation.from_probabilities([[0.9, 0.1], [0.4, 0.6]], [0, 0], ("no", "yes"))
        >>> result.probabilities.round(3).tolist()
        [[0.9, 0.1], [0.4, 0.6]]
        """
        given = np.asarray(probabilities, np.float64)
        require_probabilities(given)
        # zero has no finite logarithm; the smallest positive number stands for it
        logarithms = np.log(np.maximum(given, np.finfo(np.float64).tiny))
        return cls(logarithms, np.asarray(labels), tuple(class_names))

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
        """The class with the largest logit, shape (N,); the first of equals."""
        classes: NDArray[np.intp] = self.logits.argmax(axis=1)
        return classes

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """Probability given to the predicted class, shape (N,)."""
        highest: NDArray[np.float64] = np.exp(self.log_probabilities.max(axis=1))
        return highest

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

    def top_k(self, k: int = 2) -> float:
        """Return the share of examples whose true class is among the `k` largest logits.

        Of equal logits the first counts as larger, as in `predictions`, so ``top_k(1)`` is the accuracy.
        (scikit-learn's ``top_k_accuracy_score`` takes the last.)

        Raises
        ------
        InputError
            `k` is not between 1 and the number of classes.
        """
        if not 1 <= k <= len(self.class_names):
            raise InputError(f"k is {k}; expected 1 to {len(self.class_names)}, the number of classes")
        true = np.take_along_axis(self.logits, self.labels[:, None].astype(np.intp), axis=1)  # (N, 1)
        earlier = np.arange(self.logits.shape[1]) < self.labels[:, None]  # (N, K)
        ahead = (self.logits > true) | ((self.logits == true) & earlier)
        return float((ahead.sum(axis=1) < k).mean())

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

    @property
    def macro(self) -> dict[str, float]:
        """Mean precision, recall and F1 over the classes that occur in labels or predictions."""
        present = (self.confusion.sum(axis=0) + self.confusion.sum(axis=1)) > 0
        return {name: float(values[present].mean()) for name, values in self.per_class.items()}

    def calibration(self, bins: int = 15, *, adaptive: bool = False) -> Calibration:
        """Compare confidence and accuracy in bins; see `mnist_course.calibration.calibrate`."""
        right = self.predictions == self.labels
        return calibrate(np.minimum(self.confidence, 1.0), right, bins=bins, adaptive=adaptive)

    def best_temperature(self) -> float:
        """Return the temperature with the least loss on these examples (use validation data)."""
        return best_temperature(self.logits, self.labels)

    def at_temperature(self, temperature: float) -> "Evaluation":
        """Return the evaluation of the logits divided by `temperature`; the predictions stay.

        Raises
        ------
        InputError
            The temperature is not a positive number.
        """
        if not 0 < temperature < np.inf:
            raise InputError(f"the temperature is {temperature}; expected a positive number")
        scaled = self.logits.astype(np.float64) / temperature
        return Evaluation(scaled, self.labels, self.class_names)

    def confident_errors(self, count: int | None = None) -> NDArray[np.intp]:
        """Return the indices of the wrong predictions, the most confident first; at most `count`."""
        wrong = np.flatnonzero(self.predictions != self.labels)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")][:count]

    def __repr__(self) -> str:
        low, high = self.interval()
        return (
            f"Evaluation(accuracy {self.accuracy:.4f}, 95 % interval {low:.4f} to {high:.4f},"
            f" {len(self.labels)} images)"
        )

    def _repr_html_(self) -> str:
        return html_table(self)

    def report(self) -> str:
        """Return a text table: accuracy with its interval, then a line per class."""
        return text_table(self)

    def to_dict(self) -> dict[str, Any]:
        """Return every measure as numbers and lists, ready for JSON."""
        low, high = self.interval()
        return {
            "images": len(self.labels),
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval": {"confidence": 0.95, "method": "wilson", "low": low, "high": high},
            "top_2": self.top_k(min(2, len(self.class_names))),
            "loss": self.loss,
            "calibration_error": self.calibration().error,
            "macro": self.macro,
            "class_names": list(self.class_names),
            "per_class": {name: values.tolist() for name, values in self.per_class.items()},
            "confusion": self.confusion.tolist(),
        }

    def to_json(self, *, outputs: bool = False) -> str:
        """Return the measures as JSON; with `outputs` also logits and labels, for `from_json`."""
        fields = self.to_dict()
        if outputs:
            fields |= {"labels": self.labels.tolist(), "logits": self.logits.tolist()}
        return json.dumps(fields, indent=None if outputs else 1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """Read what ``to_json(outputs=True)`` wrote; the measures are computed anew.

        Raises
        ------
        InputError
            Not JSON, not an evaluation, or one without its outputs.
        """
        try:
            fields = json.loads(text)
            logits, labels = np.array(fields["logits"], float), np.array(fields["labels"])
            names = tuple(map(str, fields["class_names"]))
        except KeyError as error:
            raise InputError(f"the JSON holds no {error}; write it with to_json(outputs=True)") from None
        except (ValueError, TypeError) as error:
            raise InputError(f"not an evaluation: {error}") from None
        return cls(logits, labels, names)

    def save(self, path: str | os.PathLike[str], *, outputs: bool = False) -> None:
        """Write `to_json` to a file."""
        with atomic_write(path) as temporary:
            Path(temporary).write_text(self.to_json(outputs=outputs), encoding="utf-8")
