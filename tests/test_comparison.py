import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_course.comparison import McNemar, mcnemar
from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation

NAMES = ("cat", "dog")


def answers(predictions, labels=None, names=NAMES):
    predictions = np.asarray(predictions)
    labels = np.zeros(len(predictions), int) if labels is None else np.asarray(labels)
    return Evaluation(4.0 * np.eye(len(names))[predictions], labels, names)


@settings(deadline=None)
@given(b=st.integers(0, 60), c=st.integers(0, 60))
def test_the_exact_p_value_sums_both_tails_of_coin_tosses(b, c):
    n = b + c
    tail = sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n
    assert McNemar(1000, b, c).p_value == pytest.approx(min(1.0, 2 * tail))


def test_the_statistic_by_hand_and_its_p_value_from_the_normal_distribution():
    result = McNemar(1000, 40, 20)
    assert result.statistic == pytest.approx(400 / 60)
    assert result.approximate_p_value == pytest.approx(math.erfc(math.sqrt(400 / 60 / 2)))
    assert result.p_value == pytest.approx(result.approximate_p_value, abs=0.005)


def test_counts_only_what_exactly_one_gets_right():
    first, second = answers([0, 0, 0, 1, 1]), answers([0, 1, 1, 0, 1])
    result = mcnemar(first, second)
    assert (result.images, result.only_first, result.only_second) == (5, 2, 1)
    assert result.difference == pytest.approx(first.accuracy - second.accuracy)


def test_swapping_the_two_turns_the_sign_and_keeps_the_p_value():
    one, other = McNemar(500, 30, 11), McNemar(500, 11, 30)
    assert one.p_value == other.p_value
    assert one.difference == -other.difference
    assert one.interval() == pytest.approx([-x for x in reversed(other.interval())])


def test_equal_answers_differ_in_nothing():
    same = answers([0, 1, 0])
    result = mcnemar(same, same)
    assert (result.difference, result.p_value, result.statistic) == (0, 1, 0)
    low, high = result.interval()
    assert low < 0 < high


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(0)
    shares = np.array([0.03, 0.01, 0.96])  # only first, only second, both or neither
    draws = rng.multinomial(1000, shares, size=2000)
    covered = [
        low <= 0.02 <= high for b, c, _ in draws for low, high in [McNemar(1000, b, c).interval()]
    ]
    assert 0.935 < np.mean(covered) < 0.975


def test_the_interval_by_adding_one_half_to_each_cell_of_the_table():
    table = np.array([[900, 40], [20, 40]]) + 0.5  # rows: first right, wrong; columns: second
    shares = table / table.sum()
    difference = shares[0, 1] - shares[1, 0]
    variance = (shares[0, 1] + shares[1, 0] - difference**2) / table.sum()
    expected = difference - 1.959964 * np.sqrt(variance), difference + 1.959964 * np.sqrt(variance)
    assert McNemar(1000, 40, 20).interval() == pytest.approx(expected, abs=1e-7)


@settings(deadline=None)
@given(images=st.integers(1, 50), data=st.data())
def test_the_interval_stays_within_minus_one_and_one(images, data):
    b = data.draw(st.integers(0, images))
    c = data.draw(st.integers(0, images - b))
    low, high = McNemar(images, b, c).interval(0.999)
    assert -1 <= low <= high <= 1


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (answers([0, 0, 0], [0, 1, 0]), "different labels"),
        (answers([0, 0]), r"different labels \(3 and 2\)"),
        (answers([0, 0, 0], names=("cat", "owl")), "different classes"),
    ],
)
def test_evaluations_of_different_data_are_refused(second, message):
    with pytest.raises(InputError, match=message):
        mcnemar(answers([0, 0, 1]), second)


def test_it_reads_as_a_sentence_and_as_json():
    result = McNemar(1000, 40, 20)
    assert str(result).startswith("difference +0.0200, 95 % interval +0.00")
    assert "exact p = 0.013" in str(result)
    assert result.to_dict()["only_second"] == 20
