import numpy as np
import pytest
from matplotlib.axes import Axes

from mnist_course import plotting
from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation


def test_a_confusion_matrix_writes_every_count_in_a_colour_that_contrasts(grey):
    matrix = np.array([[980, 0, 3], [1, 1000, 2], [40, 7, 900]])
    ax = plotting.confusion_matrix(matrix, ["0", "1", "2"])
    assert isinstance(ax, Axes)
    written = {tuple(map(round, text.get_position())): text for text in ax.texts}
    shades = ax.images[0].to_rgba(ax.images[0].get_array())
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            text = written.pop((column, row))
            assert text.get_text() == str(count)
            assert abs(grey(text.get_color()) - grey(shades[row, column, :3])) > 0.4
    assert not written
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_a_confusion_matrix_needs_a_row_for_every_class():
    with pytest.raises(InputError, match=r"expected \(2, 2\)"):
        plotting.confusion_matrix(np.eye(3), ["a", "b"])


def test_class_shares_are_per_cent_of_each_set_and_differ_in_hatch():
    ax = plotting.class_shares({"train": [30, 10], "test": [1, 3]}, ["cat", "dog"])
    heights = [[round(bar.get_height()) for bar in bars] for bars in ax.containers]
    assert heights == [[75, 25], [25, 75]]
    assert len({bars[0].get_hatch() for bars in ax.containers}) == 2
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cat", "dog"]


def test_class_scores_are_drawn_at_their_values_with_a_mark_each():
    logits = 4.0 * np.eye(3)[[0, 1, 1, 1, 0]]
    result = Evaluation(logits, np.array([0, 0, 1, 1, 2]), ("cat", "dog", "owl"))
    ax = plotting.class_scores(result)
    *marks, macro = ax.lines
    for line, name in zip(marks, ("precision", "recall", "f1"), strict=True):
        np.testing.assert_allclose(line.get_xdata(), 100 * result.per_class[name])
        assert list(line.get_ydata()) == [0, 1, 2]
    assert len({line.get_marker() for line in marks}) == 3
    assert macro.get_xdata() == pytest.approx([100 * result.macro["f1"]] * 2)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog", "owl"]
    assert [text.get_text() for text in ax.get_legend().get_texts()][2:] == ["F1", "macro F1"]
