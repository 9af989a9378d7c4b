"""Whether what comes in still looks like what the network was trained on.

Nobody tells a service which of its answers were right, so it watches what it can see without a label:
how much ink a picture has, how sure the network is, and which classes it answers. Each is compared with
the same measure of training images by a two-sample test. An alarm means that the images are others than
those of training; whether the answers are worse, only labels can tell. A network that learned its
training images by heart is surer of them than of any others, and its confidence trips at once.
"""

import json
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mnist_course.errors import InputError

WINDOW = 500
"""Images that are compared, the newest."""

FEWEST = 100
"""Before as many have come, nothing is said."""

FALSE_ALARMS = 1e-3
"""Share of windows in which one of the measures would trip if nothing had changed.

At a busy service, windows follow each other by the hundred in a day: one in a thousand is a false alarm
every few days, which people still look at. One in twenty would be switched off."""

MEASURES = ("ink", "confidence", "classes")
THRESHOLD = FALSE_ALARMS / len(MEASURES)
"""The p-value below which one measure trips; the share is divided among them (Bonferroni)."""


@dataclass(frozen=True)
class Reference:
    """The measures of images that the network knows.

    Parameters
    ----------
    ink
        Mean grey level of each image in [0, 1], shape (M,).
    confidence
        Probability of each image's most probable class, shape (M,).
    counts
        How often each class was the most probable, shape (K,).

    Raises
    ------
    InputError
        Other shapes, or numbers outside these ranges.
    """

    ink: NDArray[np.float32]
    confidence: NDArray[np.float32]
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        shares = np.concatenate([self.ink.ravel(), self.confidence.ravel()])
        if (
            self.ink.ndim != 1
            or self.ink.shape != self.confidence.shape
            or self.counts.ndim != 1
            or not len(self.ink)
            or not ((shares >= 0) & (shares <= 1)).all()
            or (self.counts < 0).any()
            or self.counts.sum() != len(self.ink)
        ):
            raise InputError("the measures of the training images are damaged; export the network again")

    @classmethod
    def of(cls, images: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> "Reference":
        """Measure images (M, 28, 28) that got these probabilities (M, K)."""
        counts = np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1])
        return cls(ink_of(images), probabilities.max(1), counts.astype(np.int64))

    def to_json(self) -> str:
        """Return the measures as JSON, every number as exact as it is."""
        return json.dumps(
            {
                "ink": self.ink.tolist(),
                "confidence": self.confidence.tolist(),
                "counts": self.counts.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Reference":
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError, KeyError, TypeError
            Anything else.
        """
        fields = json.loads(text)
        return cls(
            np.array(fields["ink"], np.float32),
            np.array(fields["confidence"], np.float32),
            np.array(fields["counts"], np.int64),
        )


def ink_of(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean grey level of each of (N, 28, 28) images in [0, 1], shape (N,).

    >>> ink_of(np.full((2, 28, 28), 51, np.uint8)).round(2).tolist()
    [0.20000000298023224, 0.20000000298023224]
    """
    means: NDArray[np.float32] = (images.mean((1, 2)) / 255).astype(np.float32)
    return means


@dataclass(frozen=True)
class Measure:
    """One measure of the window beside that of training.

    Parameters
    ----------
    window, reference
        The means; of the classes, how often each was answered, as shares.
    statistic
        Of ink and confidence the largest distance between the two distribution functions, from 0 to 1
        (Kolmogorov and Smirnov); of the classes, Pearson's chi-squared.
    p_value
        How probable a statistic as large is among images like those of training.
    drifted
        It is less probable than `THRESHOLD`.
    """

    window: float | list[float]
    reference: float | list[float]
    statistic: float
    p_value: float
    drifted: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "drifted", self.p_value < THRESHOLD)


class Window:
    """The measures of the newest images. Three numbers of each are kept, and no image.

    Parameters
    ----------
    reference
        Of the same network.
    size
        How many images.
    """

    def __init__(self, reference: Reference, size: int = WINDOW) -> None:
        self.reference = reference
        self._seen: deque[tuple[float, float, int]] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, image: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> None:
        """Take note of one image (28, 28) and of the probabilities (K,) that it got."""
        best = int(probabilities.argmax())
        self._seen.append((float(ink_of(image[np.newaxis])[0]), float(probabilities[best]), best))

    def compare(self) -> dict[str, Measure]:
        """Compare the images seen with those of training, one `Measure` for each of `MEASURES`.

        Empty before `FEWEST` images have been seen.
        """
        if len(self._seen) < FEWEST:
            return {}
        ink, confidence, labels = (np.array(values) for values in zip(*self._seen, strict=True))
        return {
            "ink": _distributions(ink, self.reference.ink),
            "confidence": _distributions(confidence, self.reference.confidence),
            "classes": _counts(
                np.bincount(labels, minlength=len(self.reference.counts)), self.reference.counts
            ),
        }


def _distributions(window: NDArray[np.float64], reference: NDArray[np.float32]) -> Measure:
    found = stats.ks_2samp(window, reference.astype(np.float64), method="asymp")
    return Measure(
        float(window.mean()), float(reference.mean()), float(found.statistic), float(found.pvalue)
    )


def _counts(window: NDArray[np.int64], reference: NDArray[np.int64]) -> Measure:
    table = np.stack([window, reference])
    answered = table[:, table.any(axis=0)]  # a class that neither holds says nothing
    statistic, p_value = 0.0, 1.0
    if answered.shape[1] > 1:
        statistic, p_value, *_ = stats.chi2_contingency(answered)
    shares = [(counts / counts.sum()).tolist() for counts in table]
    return Measure(shares[0], shares[1], float(statistic), float(p_value))
