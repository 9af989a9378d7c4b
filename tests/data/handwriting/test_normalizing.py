import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

from mnist_course.data.handwriting.normalizing import normalized, thickened
from mnist_course.data.handwriting.paper import redrawn
from mnist_course.data.handwriting.pieces import stroke_width

RANGE = np.arange(28)


def box_of(image):
    rows, columns = image.any(axis=1).nonzero()[0], image.any(axis=0).nonzero()[0]
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def centre_of(image):
    ink = image.astype(float)
    return (ink.sum(axis=1) @ RANGE) / ink.sum(), (ink.sum(axis=0) @ RANGE) / ink.sum()


BAR = np.ones((90, 18), bool)


def test_the_longer_side_is_20_pixels_and_the_aspect_ratio_is_kept():
    assert box_of(normalized(BAR)) == (20, 4)
    assert box_of(normalized(BAR.T)) == (4, 20)


def test_without_the_aspect_ratio_everything_is_square():
    assert box_of(normalized(BAR, {"aspect ratio"})) == (20, 20)


def test_without_the_box_the_field_is_filled():
    assert box_of(normalized(BAR, {"box"})) == (28, 6)


def test_the_centre_of_mass_is_where_mnist_has_it(train_digits):
    ours = np.array([centre_of(normalized(redrawn(image))) for image in train_digits.images[::6]])
    mnist = np.array([centre_of(image) for image in train_digits.images[::6]])
    assert np.abs(ours - 14).max() <= 0.75
    np.testing.assert_allclose(ours.mean(axis=0), mnist.mean(axis=0), atol=0.15)


def test_without_the_centre_of_mass_the_box_is_in_the_middle():
    mask = BAR.copy()
    mask[:20] = True
    mask[60:, :14] = False
    top = normalized(mask, {"centre of mass"}).any(axis=1).nonzero()[0][0]
    assert top == 4
    assert normalized(mask).any(axis=1).nonzero()[0][0] > 4


def test_a_digit_from_mnist_comes_back(train_digits):
    differences = [
        np.abs(normalized(redrawn(image)).astype(float) - image).mean()
        for image in train_digits.images[::12]
    ]
    inks = train_digits.images[::12].mean()
    assert np.mean(differences) < 0.3 * inks


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=60)).filter(lambda mask: mask.any()))
def test_any_ink_becomes_an_image(mask):
    image = normalized(mask)
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.any()


@pytest.mark.parametrize("pen", [1.5, 2.5])
def test_a_thin_pen_becomes_as_thick_as_those_of_mnist(pen, train_digits):
    for image in train_digits.images[:60:10]:
        mask = redrawn(image, pen)
        assert 0.07 < stroke_width(thickened(mask)) / max(thickened(mask).shape) < 0.14


def test_a_thick_pen_is_left_as_it_is():
    assert thickened(BAR) is BAR
