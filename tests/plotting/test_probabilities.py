import numpy as np
import pytest

from mnist_course import plotting
from mnist_course.calibration import calibrate


@pytest.fixture
def result():
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.4, 0.4])
    return calibrate(confidence, np.array([True, True, False, False, True, True]), bins=5)


def test_the_bars_end_at_the_accuracy_and_the_gaps_at_the_confidence(result):
    bars, gaps = plotting.reliability_diagram(result).containers
    assert [bar.get_height() for bar in bars] == pytest.approx([1, 0.5])
    assert [bar.get_x() for bar in bars] == pytest.approx([0.2, 0.8])
    assert [gap.get_y() + gap.get_height() for gap in gaps] == pytest.approx([0.4, 0.9])
    assert {gap.get_hatch() for gap in gaps} == {"////"}


def test_empty_bins_are_left_out_and_the_others_counted(result):
    ax = plotting.reliability_diagram(result)
    assert [text.get_text() for text in ax.texts] == ["2", "4"]


def test_the_title_states_the_error(result):
    assert plotting.reliability_diagram(result).get_title(loc="left").endswith("error 46.7 %")


def test_it_draws_where_it_is_told(result):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert plotting.reliability_diagram(result, ax) is ax
