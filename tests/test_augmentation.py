"""The description of an augmentation refuses what makes no sense; the smoothing is a Gaussian's."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from mnist_course.augmentation import Augmentation, smoothing_matrix
from mnist_course.errors import InputError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rotation": -1}, "rotation is -1; expected a number from 0 to 180, degrees"),
        ({"rotation": 181}, "rotation is 181"),
        ({"rotation": "10"}, "rotation is '10'"),
        ({"rotation": True}, "rotation is True"),
        ({"shift": float("nan")}, "shift is nan"),
        ({"shift": 29}, "shift is 29; expected a number from 0 to 28, pixels"),
        ({"zoom": 0.6}, "zoom is 0.6; expected a number from 0 to 0.5"),
        ({"zoom": None}, "zoom is None"),
        ({"elastic": 34}, r"elastic is 34; expected \(alpha, sigma\)"),
        ({"elastic": (34, 4, 1)}, r"elastic is \(34, 4, 1\)"),
        ({"elastic": (-1, 4)}, "elastic's alpha is -1"),
        ({"elastic": (34, 7)}, "elastic's sigma is 7"),
        ({"elastic": (34, 0)}, "elastic's sigma is 0"),
    ],
)
def test_values_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Augmentation(**values)


def test_a_description_survives_json():
    ours = Augmentation(rotation=7, elastic=(30, 4))
    assert Augmentation(**json.loads(json.dumps(asdict(ours)))) == ours


def test_equal_descriptions_are_one_key():
    assert len({Augmentation(elastic=[34, 4]), Augmentation(elastic=(34, 4))}) == 1


@given(st.floats(0.3, 6.0), st.integers(0, 1000))
def test_smoothing_equals_scipys_gaussian_filter(sigma, seed):
    field = np.random.default_rng(seed).uniform(-1, 1, (28, 28)).astype(np.float32)
    matrix = smoothing_matrix(sigma)
    reach = int(8 * sigma + 1) // 2
    expected = gaussian_filter(field, sigma, mode="mirror", radius=reach)
    np.testing.assert_allclose(matrix @ field @ matrix.T, expected, atol=2e-6)


def test_smoothing_leaves_a_constant_alone():
    np.testing.assert_allclose(smoothing_matrix(4.0).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(("sigma", "size"), [(0, 28), (-1, 28), (7, 28), (2, 8)])
def test_a_smoothing_wider_than_the_image_is_refused(sigma, size):
    with pytest.raises(InputError, match="sigma is"):
        smoothing_matrix(sigma, size)
