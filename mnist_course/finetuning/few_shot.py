r"""Classifying with a few examples per class, on features of a network that stays as it is.

With one, five or twenty examples of a class there is too little to train a network on. A pretrained
network turns images into vectors :math:`z` (`mnist_course.finetuning.features`), and a classifier with
few or no parameters does the rest.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mnist_course.data import ImageDataset
from mnist_course.errors import InputError

METRICS = ("euclidean", "cosine")


def draw(dataset: ImageDataset, shots: int, *, seed: int) -> ImageDataset:
    """Return `shots` examples of every class, chosen at random.

    Parameters
    ----------
    dataset
        At least `shots` images of each of its classes.
    shots
        Number of examples per class, at least 1.
    seed
        The same seed draws the same examples, and with more shots these and others.

    Returns
    -------
    ImageDataset
        ``shots · classes`` images, class after class.

    Raises
    ------
    InputError
        Fewer than one shot, or a class with too few images.
    """
    if shots < 1:
        raise InputError(f"shots is {shots}; expected at least 1 example per class")
    counts = dataset.counts()
    if counts.min() < shots:
        name = dataset.class_names[counts.argmin()]
        raise InputError(f"class {name!r} has {counts.min()} images; {shots} per class were asked for")
    chosen = [
        np.random.default_rng([seed, label]).permutation(np.flatnonzero(dataset.labels == label))[:shots]
        for label in range(len(counts))
    ]
    return dataset.subset(np.concatenate(chosen))


class Prototypes:
    r"""Nearest class mean: a class is represented by the mean of its examples' features.

    With the examples :math:`S_k` of class k,

    .. math:: c_k = \frac{1}{|S_k|} \sum_{z \in S_k} z,
              \qquad \hat{y}(z) = \operatorname{arg\,min}_k d(z, c_k),

    where d is the squared Euclidean distance, or :math:`1 - \cos(z, c_k)`, for which every vector is
    first scaled to length 1.

    Parameters
    ----------
    metric
        ``"euclidean"`` or ``"cosine"``.

    Attributes
    ----------
    classes
        The classes that had examples, sorted, shape (K,).
    means
        Their prototypes, shape (K, D); of length 1 for the cosine.

    Raises
    ------
    InputError
        An unknown metric.

    References
    ----------
    Snell, Swersky and Zemel, Prototypical networks for few-shot learning, 2017.

    Examples
    --------
    >>> Prototypes().fit(np.array([[0.0], [2.0], [9.0]]), np.array([3, 3, 5])).means.tolist()
    [[1.0], [9.0]]
    """

    def __init__(self, metric: str = "euclidean") -> None:
        if metric not in METRICS:
            raise InputError(f"unknown metric {metric!r}; choose one of {', '.join(METRICS)}")
        self.metric = metric
        self.classes: NDArray[Any] = np.empty(0, np.int64)
        self.means: NDArray[np.float64] = np.empty((0, 0))

    def fit(self, features: NDArray[Any], labels: NDArray[Any]) -> Self:
        """Average the features (N, D) of each of the labels (N,).

        Raises
        ------
        InputError
            No example, or not one label per row.
        """
        rows = self._prepared(features)
        if not len(rows) or np.shape(labels) != rows.shape[:1]:
            raise InputError(
                f"features have shape {rows.shape} and labels {np.shape(labels)};"
                " expected (N, D) and (N,) with at least one example"
            )
        self.classes, members = np.unique(labels, return_inverse=True)
        means = np.stack([rows[members == k].mean(axis=0) for k in range(len(self.classes))])
        self.means = self._prepared(means)  # the mean of directions is no direction yet
        return self

    def distances(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the distance of every row (N, D) to every prototype: (N, K).

        Raises
        ------
        InputError
            Rows of another length than the prototypes', or no prototypes.
        """
        rows = self._prepared(features)
        if rows.shape[1] != self.means.shape[1]:
            raise InputError(
                f"features have {rows.shape[1]} columns and the prototypes {self.means.shape[1]};"
                " call fit first, with features of the same layer"
            )
        products = rows @ self.means.T  # (N, K)
        if self.metric == "cosine":
            return 1 - products
        # ‖z − c‖² = ‖z‖² − 2 z·c + ‖c‖² needs no array of shape (N, K, D)
        return (rows**2).sum(axis=1)[:, None] - 2 * products + (self.means**2).sum(axis=1)

    def predict(self, features: NDArray[Any]) -> NDArray[Any]:
        """Return the class of the nearest prototype for every row: (N,)."""
        nearest: NDArray[Any] = self.classes[self.distances(features).argmin(axis=1)]
        return nearest

    def _prepared(self, features: NDArray[Any]) -> NDArray[np.float64]:
        rows = np.asarray(features, np.float64)
        if rows.ndim != 2:
            raise InputError(f"features have shape {rows.shape}; expected (N, D), a row per image")
        if self.metric == "euclidean":
            return rows
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: NDArray[np.float64] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
        return unit


def nearest_neighbour() -> Any:
    """Return scikit-learn's classifier by the nearest single example, by Euclidean distance."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=1)


def linear_classifier() -> Any:
    """Return logistic regression on features of length 1, with scikit-learn's L2 penalty of C = 1.

    References
    ----------
    Tian, Wang, Krishnan, Tenenbaum and Isola, Rethinking few-shot image classification: a good
    embedding is all you need?, 2020, whose classifier and settings these are.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    return make_pipeline(Normalizer(), LogisticRegression(C=1.0, max_iter=1000))


CLASSIFIERS: Mapping[str, Callable[[], Any]] = {
    "prototypes": Prototypes,
    "prototypes, cosine": lambda: Prototypes("cosine"),
    "nearest neighbour": nearest_neighbour,
    "linear classifier": linear_classifier,
}
"""Name → what makes a new classifier with ``fit(features, labels)`` and ``predict(features)``."""
