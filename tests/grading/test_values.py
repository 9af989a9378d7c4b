"""Published values: what comes out is what went in, and nothing else is let in."""

import json
import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_course.errors import InputError
from mnist_course.grading import values
from mnist_course.grading.comparison import Tolerance, compare
from mnist_course.grading.values import DTYPES, decode, describe, encode

EXACT = Tolerance(rtol=0, atol=0, dtype="exact")
ARRAYS = hnp.arrays(
    st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=20)
)
NESTED = st.recursive(
    st.one_of(SCALARS, ARRAYS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    max_leaves=8,
)


def over_the_wire(node):
    return json.loads(json.dumps(node, allow_nan=False))


@given(ARRAYS)
def test_an_array_survives_the_wire_bit_by_bit(array):
    back = decode(over_the_wire(encode(array)))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


@given(NESTED)
def test_any_nesting_of_values_survives_the_wire(value):
    once = decode(encode(value))
    again = decode(over_the_wire(encode(once)))
    assert compare(again, once, EXACT) is None


def test_a_number_is_an_array_without_axes():
    assert decode(encode(3)).shape == ()
    assert decode(encode(3)).dtype == np.int64
    assert decode(encode(True)).dtype == bool
    assert decode(encode(0.5)).dtype == np.float64


def test_a_tuple_is_a_list_afterwards():
    assert decode(encode((1, (2, "x")))) == [1, [2, "x"]]


def test_what_is_not_finite_survives():
    back = decode(over_the_wire(encode(np.float32([math.nan, math.inf, -math.inf, -0.0]))))
    assert np.isnan(back[0])
    assert list(back[1:3]) == [math.inf, -math.inf]
    assert np.signbit(back[3])


def test_a_torch_tensor_that_needs_a_gradient_can_be_published():
    import torch

    back = decode(encode(torch.ones(2, requires_grad=True) * 3))
    np.testing.assert_array_equal(back, [3, 3])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "cannot publish a object"),
        ({1, 2}, "cannot publish a set"),
        (1j, "cannot publish a complex"),
        (2**70, "cannot publish a int"),
        (np.array(["a"]), "cannot publish a ndarray of str"),
        (np.zeros(100_001), "more than 100,000 numbers"),
        ([0] * 10_001, "more than 10,000 items"),
        ("x" * 10_001, "10,001 characters"),
        ({"k" * 101: 1}, "101 characters"),
        ([[[[[[[[[1]]]]]]]]], "nested more than 8 deep"),
    ],
)
def test_what_cannot_be_published_is_refused_with_words(value, words):
    with pytest.raises(InputError, match=words):
        encode(value)


def array(**changes):
    return {"kind": "array", "dtype": "float32", "shape": [2], "data": [1.0, 2.0], **changes}


HOSTILE = {
    "nothing": None,
    "a number": 3,
    "a list": [],
    "no kind": {},
    "kind is a list": {"kind": []},
    "unknown kind": {"kind": "pickle", "data": "gASVAA=="},
    "an extra key": array(extra=1),
    "a missing key": {"kind": "array", "dtype": "float32", "shape": [0]},
    "object dtype": array(dtype="object"),
    "dtype with a field": array(dtype="O,O"),
    "complex dtype": array(dtype="complex64"),
    "too few numbers": array(shape=[3]),
    "negative shape": array(shape=[-2]),
    "shape of floats": array(shape=[2.0]),
    "shape of booleans": array(shape=[True, True], data=[1.0]),
    "huge shape": array(shape=[10**9, 10**9, 0], data=[]),
    "many axes": array(shape=[1] * 40, data=[1.0]),
    "texts as numbers": array(data=["1.0", "2.0"]),
    "booleans as floats": array(data=[True, False]),
    "nested data": array(data=[[1.0], [2.0]]),
    "floats as integers": array(dtype="int64", data=[1.0, 2.0]),
    "integers as booleans": array(dtype="bool", data=[0, 1]),
    "an integer that does not fit": array(dtype="int8", data=[300, 1]),
    "a float that does not fit": array(data=[1e300, 1.0]),
    "an integer of 5,000 bits as a float": array(data=[2**5000, 1.0]),
    "too many numbers": array(shape=[100_001], data=[1.0] * 100_001),
    "too many items": {"kind": "sequence", "items": [{"kind": "none"}] * 10_001},
    "a text that is none": {"kind": "text", "text": 3},
    "a long text": {"kind": "text", "text": "x" * 10_001},
    "items that are none": {"kind": "sequence", "items": "xy"},
    "a pair of three": {"kind": "mapping", "items": [["a", {"kind": "none"}, 1]]},
    "a key that is no text": {"kind": "mapping", "items": [[1, {"kind": "none"}]]},
    "a key twice": {"kind": "mapping", "items": [["a", {"kind": "none"}]] * 2},
}


@pytest.mark.parametrize("node", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_decoder_refuses(node):
    with pytest.raises(InputError, match="not a value of this course"):
        decode(node)


def test_the_decoder_refuses_deep_nesting():
    node = {"kind": "none"}
    for _ in range(values.MAX_DEPTH + 1):
        node = {"kind": "sequence", "items": [node]}
    with pytest.raises(InputError, match="nested too deep"):
        decode(node)


def test_many_small_arrays_share_one_limit():
    many = {"kind": "sequence", "items": [array(shape=[200], data=[0.0] * 200)] * 501}
    with pytest.raises(InputError, match="too many numbers"):
        decode(many)


@given(NESTED)
def test_a_description_is_one_short_printable_line(value):
    text = describe(decode(encode(value)))
    assert len(text) <= 160
    assert text.isprintable()


def test_a_description_tells_a_float_from_an_integer():
    assert describe(decode(encode([5, 5.0]))) == "list of 2: [5, 5.0]"
