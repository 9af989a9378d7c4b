import matplotlib.pyplot as plt
import numpy as np
import pytest

from mnist_course import plotting
from mnist_course.errors import InputError
from mnist_course.history import History


def test_learning_curves_show_both_quantities_of_both_sets():
    history = History([2.0, 1.0], [0.5, 0.8], [1.5, 1.2], [0.6, 0.7], [1.0, 1.0])
    loss, accuracy = plotting.learning_curves(history)
    assert [list(line.get_ydata()) for line in loss.lines] == [[2, 1], [1.5, 1.2]]
    np.testing.assert_allclose([line.get_ydata() for line in accuracy.lines], [[50, 80], [60, 70]])
    assert [list(line.get_xdata()) for line in loss.lines] == [[1, 2], [1, 2]]
    assert len({(line.get_linestyle(), line.get_marker()) for line in loss.lines}) == 2
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]


def test_learning_curves_need_no_validation():
    _, axes = plt.subplots(2)
    pair = plotting.learning_curves(History([2.0], [0.5], [], [], [1.0]), axes)
    assert pair is axes
    assert [len(ax.lines) for ax in pair] == [1, 1]


def test_learning_curves_need_an_epoch():
    with pytest.raises(InputError, match="no epoch"):
        plotting.learning_curves(History())


def test_seed_dots_show_every_seed_and_write_the_mean():
    ax = plotting.seed_dots({"clean": [90, 92], "noisy": [70, 74]}, label="accuracy (%)")
    dots = [list(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None"]
    assert dots == [[90, 92], [70, 74]]
    assert [text.get_text() for text in ax.texts] == ["91.0", "72.0"]
    assert [round(text.xy[1]) for text in ax.texts] == [0, 1]
    assert ax.get_legend() is None


def test_compared_seed_dots_keep_the_series_apart():
    results = {"linear": {"clean": [90, 92], "noisy": [70, 74]}, "voting": {"clean": [95, 96]}}
    ax = plotting.compared_seed_dots(results, label="accuracy (%)")
    dots = [list(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None"]
    bars = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() != "None"]
    assert dots == [[90, 92], [70, 74], [95, 96]]
    assert bars == [91, 72, 95.5]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["clean", "noisy"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["linear", "voting"]
    assert len({line.get_marker() for line in ax.lines} - {"None"}) == 2
