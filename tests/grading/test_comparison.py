"""Two values agree when a teacher would say so, and the message says what differs first."""

import re

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mnist_course.errors import InputError
from mnist_course.grading.comparison import Tolerance, agreement, compare
from mnist_course.grading.judging import KeyedProbe, Mistake
from mnist_course.grading.values import decode, encode

FLOATS = hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-1e6, 1e6))


def difference(value, expected, **tolerance):
    return compare(decode(encode(value)), decode(encode(expected)), Tolerance(**tolerance))


@given(FLOATS)
def test_a_value_agrees_with_itself_at_no_tolerance(array):
    assert difference(array, array, rtol=0, atol=0) is None


@given(FLOATS, st.data())
def test_one_number_off_by_more_than_the_tolerance_is_found(array, data):
    place = data.draw(st.integers(0, array.size - 1))
    wrong = array.copy()
    wrong.flat[place] += 1 + abs(wrong.flat[place])
    found = difference(wrong, array, rtol=1e-4, atol=1e-6)
    assert found is not None
    if array.ndim:
        assert f"[{', '.join(map(str, np.unravel_index(place, array.shape)))}]" in found.message


@given(FLOATS)
def test_rounding_to_float32_agrees(array):
    assert difference(array.astype(np.float32), array) is None


@given(FLOATS, st.floats(0.5, 2))
def test_the_largest_error_is_the_largest(array, factor):
    assume(not np.allclose(array, array * factor, rtol=1e-4, atol=1e-6))
    found = difference(array * factor, array)
    errors = np.abs(array * factor - array)[~np.isclose(array * factor, array, rtol=1e-4, atol=1e-6)]
    assert found.largest_error == pytest.approx(errors.max())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, np.int8(3)),
        (3, np.array(3)),
        ((1, 2), [1, 2]),
        (np.float32([1]), np.float64([1])),
        ([np.nan, np.inf], [np.nan, np.inf]),
        (np.array([2**63], np.uint64), np.array([2**63], np.uint64)),
        ({"a": 1, "b": None}, {"b": None, "a": 1}),
        ("text", "text"),
        (np.zeros((0, 3)), np.zeros((0, 3))),
    ],
)
def test_these_agree(value, expected):
    assert difference(value, expected) is None


@pytest.mark.parametrize(
    ("value", "expected", "words"),
    [
        (None, 3, "it is None, expected a number; does your function return"),
        ([1, 2], np.array([1, 2]), r"it is a list or tuple of 2, expected an array of shape \(2,\)"),
        (np.array([1, 2]), [1, 2], "expected a list or tuple of 2"),
        ([1], [1, 2], "it has 1 items, expected 2"),
        (np.zeros((2, 3)), np.zeros((3, 2)), r"its shape is \(2, 3\), expected \(3, 2\)"),
        (5.0, 5, "it holds float numbers"),
        (5, 5.0, "it holds integer numbers"),
        (True, 1, "it holds boolean numbers"),
        (2**53 + 1, 2**53, "the number differs; the largest error is 1"),
        (-(2**63), 2**63 - 1, "the number differs"),
        (np.nan, 1.0, "not a finite number"),
        (np.inf, -np.inf, "the number differs"),
        (1e308, -1e308, "the number differs"),
        ([1, [2, 3.5]], [1, [2, 3.0]], "in item 1: in item 1: the number differs"),
        ({"a": 1}, {"b": 1}, "its keys differ"),
        ({"a": 2}, {"a": 1}, "in key 'a': the number differs"),
        ("x", "y", "the text differs"),
        (1, "y", "it is a number, expected a text"),
        ("x", 1, "it is a text, expected a number"),
        (0, None, "it is a number, expected None"),
        (np.array([True, False]), np.array([True, True]), r"1 of 2 numbers differ, the first at \[1\]"),
    ],
)
def test_these_differ_and_the_message_says_how(value, expected, words):
    found = difference(value, expected)
    assert found is not None
    assert re.search(words, found.message), found.message


def test_an_exact_dtype_can_be_asked_for():
    found = difference(np.float64([1]), np.float32([1]), dtype="exact")
    assert found.message == "its dtype is float64, expected float32"


def test_the_message_gives_no_expected_number_away():
    found = difference(np.array([1.0, 777.0]), np.array([1.0, 888.5]))
    assert "888.5" not in found.message
    assert "888.5" in found.numbers


@pytest.mark.parametrize("wrong", [{"rtol": -1}, {"atol": -1}, {"dtype": "any"}])
def test_a_tolerance_that_is_none_is_refused(wrong):
    with pytest.raises(InputError):
        Tolerance(**wrong)


LABELS = np.arange(10)


def test_labels_agree_when_enough_of_them_are_right():
    guessed = LABELS.copy()
    guessed[0] = 9
    assert agreement(guessed, LABELS, 0.9) is None
    assert "90.0% of the labels are right, at least 95.0%" in agreement(guessed, LABELS, 0.95).message


@pytest.mark.parametrize(
    "value", [LABELS[:5], LABELS.astype(float), LABELS[None], "0123456789", [0] * 10]
)
def test_labels_of_another_form_do_not_agree(value):
    assert agreement(decode(encode(value)), LABELS, 0.0) is not None


def keyed(*mistakes):
    made = tuple(Mistake(name, f"You {name}.", decode(encode(value))) for name, value in mistakes)
    return KeyedProbe("p", decode(encode([1.0, 2.0])), Tolerance(), mistakes=made)


def test_a_known_mistake_is_named():
    verdict = keyed(("swapped", [2.0, 1.0]), ("doubled", [2.0, 4.0])).judge(decode(encode([2.0, 4.0])))
    assert (verdict.correct, verdict.misconception, verdict.says) == (False, "doubled", "You doubled.")


def test_an_unknown_mistake_is_not_named():
    verdict = keyed(("swapped", [2.0, 1.0])).judge(decode(encode([9.0, 9.0])))
    assert (verdict.correct, verdict.misconception, verdict.says) == (False, None, "")


def test_a_key_survives_its_json():
    once = keyed(("swapped", [2.0, 1.0]))
    again = KeyedProbe.from_json("p", once.to_json())
    assert again.to_json() == once.to_json()
    assert again.judge(decode(encode([2.0, 1.0]))).misconception == "swapped"
