r"""Recognising classes of which no training image was seen, from a description of them.

The description takes the place of examples. By attributes: each class is a row of a table (`STROKES`),
classifiers learn the columns on the seen classes, and an image belongs to the class whose row they
read. By embedding: each class is a vector, such as its row or its printed shape; a linear map from
images to vectors is learned on the seen classes, and an image belongs to the class whose vector is
nearest.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError

STROKES: dict[str, str] = {
    "a stroke at the top": "02356789",
    "a stroke at the upper left": "045689",
    "a stroke at the upper right": "01234789",
    "a stroke through the middle": "2345689",
    "a stroke at the lower left": "0268",
    "a stroke at the lower right": "013456789",
    "a stroke at the bottom": "023568",
    "a loop": "0689",
    "a loop in the upper half": "89",
    "a loop in the lower half": "68",
    "a straight line downwards": "1479",
    "an end that points left": "23579",
    "only curves": "0368",
}
"""Attribute → the digits that have it: the seven segments of a display, and how a hand writes.

It was written down from what the digits look like, before any network saw them."""

DIGITS = np.arange(10)


def attribute_table(attributes: dict[str, str] = STROKES) -> NDArray[np.int64]:
    """Return a row per digit and a column per attribute: 1 where the digit has it, shape (10, M).

    >>> attribute_table({"a loop": "0689"})[:, 0]
    array([1, 0, 0, 0, 0, 0, 1, 0, 1, 1])
    """
    rows = [[int(str(digit) in digits) for digits in attributes.values()] for digit in DIGITS]
    return np.array(rows)


class ByAttributes:
    r"""Direct attribute prediction.

    A logistic regression per attribute m gives :math:`p(a_m \mid z)` for features z, standardised.
    With the row :math:`a^k` of class k,

    .. math:: \hat{y}(z) = \operatorname{arg\,max}_k \prod_m
              \frac{p(a_m = a_m^k \mid z)}{p(a_m = a_m^k)}.

    An attribute that all seen classes share, or none has, cannot be learned and is left out.

    Parameters
    ----------
    table
        0 or 1, shape (K, M): a row per class, seen or not.

    Attributes
    ----------
    learned
        Numbers of the columns that could be learned, shape (L,).
    shares
        Their share among the seen classes, shape (L,).
    probes
        Their classifiers.

    Raises
    ------
    InputError
        The table holds other numbers.

    References
    ----------
    Lampert, Nickisch and Harmeling, Attribute-based classification for zero-shot visual object
    categorization, 2014.
    """

    def __init__(self, table: NDArray[Any]) -> None:
        if np.ndim(table) != 2 or not np.isin(table, (0, 1)).all():
            raise InputError(
                f"the table has shape {np.shape(table)}; expected (K, M), each number 0 or 1"
            )
        self.table = np.asarray(table)
        self.learned: NDArray[np.int64] = np.empty(0, np.int64)
        self.shares: NDArray[np.float64] = np.empty(0)
        self.probes: list[Any] = []

    def fit(self, features: NDArray[Any], labels: NDArray[Any]) -> Self:
        """Learn the attributes from features (N, D) of seen classes with labels (N,).

        Raises
        ------
        InputError
            The seen classes differ in no attribute.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        # the prior of an attribute is its share of the seen classes, as in the paper
        shares = self.table[np.unique(labels)].mean(axis=0)
        self.learned = np.flatnonzero((shares > 0) & (shares < 1))
        if not len(self.learned):
            raise InputError("the seen classes differ in no attribute; there is nothing to learn")
        self.shares = shares[self.learned]
        self.probes = [
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features, present)
            for present in self.table[labels][:, self.learned].T
        ]
        return self

    def attributes(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability of every learned attribute: shape (N, len(self.learned)).

        Raises
        ------
        InputError
            None has been learned.
        """
        if not self.probes:
            raise InputError("no attribute has been learned; call fit first")
        return np.stack([probe.predict_proba(features)[:, 1] for probe in self.probes], axis=1)

    def predict(self, features: NDArray[Any], among: Sequence[int]) -> NDArray[np.int64]:
        """Return, for each row (N, D), the most probable of the classes `among`: (N,)."""
        found = np.clip(self.attributes(features), 1e-6, 1 - 1e-6)  # a factor of 0 would decide alone
        chosen = np.asarray(among)
        rows = self.table[np.ix_(chosen, self.learned)]  # (classes, attributes)
        present, absent = np.log(found / self.shares), np.log((1 - found) / (1 - self.shares))
        answers: NDArray[np.int64] = chosen[(present @ rows.T + absent @ (1 - rows).T).argmax(axis=1)]
        return answers


class ByEmbedding:
    r"""A linear map from features to class vectors; the nearest vector's class is the answer.

    Ridge regression on the seen classes, with features z that are standardised,

    .. math:: \min_W \sum_n \lVert W z_n - v_{y_n} \rVert^2 + \alpha \lVert W \rVert^2, \qquad
              \hat{y}(z) = \operatorname{arg\,max}_k \cos(W z, v_k),

    where vectors are centred on the mean of all classes' first.

    Parameters
    ----------
    vectors
        Shape (K, M): a row per class, seen or not.
    alpha
        Strength of the penalty; 1 is scikit-learn's default.

    Raises
    ------
    InputError
        No row per class, or a negative penalty.

    References
    ----------
    Frome et al., DeViSE: a deep visual-semantic embedding model, 2013; Romera-Paredes and Torr, An
    embarrassingly simple approach to zero-shot learning, 2015.
    """

    def __init__(self, vectors: NDArray[Any], alpha: float = 1.0) -> None:
        if np.ndim(vectors) != 2 or not alpha >= 0:
            raise InputError(
                f"vectors have shape {np.shape(vectors)} and alpha is {alpha};"
                " expected (K, M), a row per class, and a number that is not negative"
            )
        rows = np.asarray(vectors, np.float64)
        self.vectors = rows - rows.mean(axis=0)
        self.alpha = alpha
        self.map: Any = None

    def fit(self, features: NDArray[Any], labels: NDArray[Any]) -> Self:
        """Learn the map from features (N, D) of seen classes with labels (N,)."""
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.map = make_pipeline(StandardScaler(), Ridge(alpha=self.alpha))
        # in float32 the many features of a convolution make the equations ill-conditioned
        self.map.fit(np.asarray(features, np.float64), self.vectors[labels])
        return self

    def predict(self, features: NDArray[Any], among: Sequence[int]) -> NDArray[np.int64]:
        """Return, for each row (N, D), the class of the nearest vector of those `among`: (N,).

        Raises
        ------
        InputError
            The map has not been learned.
        """
        if self.map is None:
            raise InputError("no map has been learned; call fit first")
        chosen = np.asarray(among)
        rows = self.vectors[chosen]
        directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        # the length of an image's own vector scales all of its cosines alike
        cosines = self.map.predict(np.asarray(features, np.float64)) @ directions.T
        answers: NDArray[np.int64] = chosen[cosines.argmax(axis=1)]
        return answers


def printed_digits() -> NDArray[np.uint8]:
    """Return the ten digits as print has them, uint8 (10, 28, 28), placed as MNIST places a digit.

    The font is DejaVu Sans, which matplotlib brings along. A digit fills 20 rows, and its centre of
    mass is the image's centre.
    """
    from matplotlib import font_manager
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 27)
    images = []
    for digit in DIGITS:
        large = Image.new("L", (56, 56))
        ImageDraw.Draw(large).text((20, 14), str(digit), fill=255, font=font)
        ink = np.asarray(large)
        rows, columns = (np.flatnonzero(ink.sum(axis)) for axis in (1, 0))
        box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        images.append(_centred(box))
    return np.stack(images)


def _centred(box: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Place ink on a 28×28 canvas so that its centre of mass is nearest to the middle."""
    height, width = box.shape
    mass = box.sum(dtype=float)
    row = (box.sum(1, dtype=float) @ np.arange(height)) / mass
    column = (box.sum(0, dtype=float) @ np.arange(width)) / mass
    top, left = round(13.5 - row), round(13.5 - column)
    canvas = np.zeros((28, 28), np.uint8)
    canvas[top : top + height, left : left + width] = box
    return canvas
