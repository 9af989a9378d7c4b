import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from mnist_course.data.handwriting.rules import (
    printed,
    slope,
    straightened,
    turned_points,
    without_rules,
)


def lined(shape=(160, 400), distance=40):
    page = np.zeros(shape, bool)
    page[distance // 2 :: distance] = page[distance // 2 + 1 :: distance] = True
    return page


@given(st.floats(-10, 10))
def test_the_slope_of_lines_is_found_and_undone(degrees):
    leaning = ndimage.rotate(lined().astype(np.float32), degrees, order=1, reshape=False)
    found = slope(leaning > 0.5)
    if abs(degrees) > 0.5:
        assert found == pytest.approx(-degrees, abs=0.15) or found == pytest.approx(degrees, abs=0.15)
        level = straightened(leaning, found)
        rows = (level > 0.4).sum(axis=1)
        assert rows.max() > 0.8 * 400, "the lines are not level"
    else:
        assert abs(found) < 0.7


def test_writing_has_no_slope(train_digits):
    row = np.concatenate(train_digits.images[:6], axis=1)
    assert slope(np.kron(row > 127, np.ones((4, 4), bool))) == 0


def test_a_level_page_is_not_turned():
    image = lined().astype(np.float32)
    assert straightened(image, 0.0) is image


@given(st.floats(-30, 30), st.integers(3, 36), st.integers(3, 76))
def test_points_go_where_the_page_is_turned(degrees, row, column):
    page = np.zeros((40, 80))
    page[row - 1 : row + 2, column - 1 : column + 2] = 1
    turned = ndimage.rotate(page, degrees, order=1)
    (found,) = turned_points(np.array([[row, column]], float), degrees, page.shape, turned.shape)
    np.testing.assert_allclose(found, ndimage.center_of_mass(turned), atol=0.5)


def test_printed_lines_are_found_in_both_directions_and_strokes_across_them_are_not():
    page = lined() | lined((400, 160)).T[:160]
    with_pen = page.copy()
    with_pen[70:110, 103:111] = True
    found = printed(with_pen, np.ones_like(page))
    assert (found & page).sum() > 0.9 * page.sum()
    pen_only = with_pen & ~page
    assert not (found & pen_only).any()


def test_a_stroke_that_does_not_cross_the_whole_page_is_no_line():
    page = np.zeros((160, 400), bool)
    page[80:84, 80:320] = True  # a dash over six tenths of the page
    assert not printed(page, np.ones_like(page)).any()


@pytest.mark.parametrize("line", [0.75, 0.35])
def test_a_digit_stays_whole_when_the_line_under_it_goes(line, train_digits):
    seven = train_digits.images[train_digits.labels == 8][0]
    pen = np.zeros((160, 400), bool)
    pen[24:136, 140:252] = np.kron(seven > 127, np.ones((4, 4), bool))
    ink = np.maximum(0.75 * pen, line * lined()).astype(np.float32)
    left, rules = without_rules(ink, ink > 0.2, np.ones_like(pen))
    assert rules.any()
    assert (left & pen).sum() > 0.93 * pen.sum()
    assert (left & ~pen).sum() < 0.05 * pen.sum()
    assert ndimage.label(ndimage.binary_opening(left, np.ones((2, 2))), np.ones((3, 3)))[1] == 1


def test_plain_paper_is_left_alone():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 28:32] = True
    left, rules = without_rules(mask.astype(np.float32), mask, np.ones_like(mask))
    np.testing.assert_array_equal(left, mask)
    assert not rules.any()
