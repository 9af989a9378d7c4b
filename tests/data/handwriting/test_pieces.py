import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_course.data.handwriting import pieces
from mnist_course.data.handwriting.paper import redrawn, write_page
from mnist_course.data.handwriting.pieces import (
    BLOB,
    EDGE,
    LINE,
    LOW_INK,
    MOST,
    Piece,
    at_edge,
    connected,
    in_reading_order,
    joined,
    judged,
    separated,
    stroke_width,
)
from mnist_course.errors import InputError


def page_of(*boxes, shape=(200, 400)):
    page = np.zeros(shape, bool)
    for top, left, height, width in boxes:
        page[top : top + height, left : left + width] = True
    return page


def boxes(found):
    return [(piece.top, piece.left, piece.height, piece.width) for piece in found]


DIGIT = (50, 50, 60, 10)


@given(st.integers(3, 20), st.integers(60, 120))
def test_the_stroke_width_of_a_bar_is_its_width(width, length):
    assert stroke_width(np.ones((length, width), bool)) == pytest.approx(width, rel=0.15, abs=1)


def test_components_touch_at_corners_too_and_specks_are_counted():
    page = page_of(DIGIT, (110, 60, 10, 10), (10, 10, 2, 2), (20, 300, 1, 1))
    found, specks = connected(page)
    assert boxes(found) == [(50, 50, 70, 20)]
    assert specks == 2
    assert found[0].mask.sum() == 60 * 10 + 10 * 10


def test_an_empty_page_has_no_pieces():
    assert connected(np.zeros((20, 20), bool)) == ([], 0)


def test_ten_thousand_components_are_refused_in_one_line():
    page = np.zeros((600, 600), bool)
    for row in range(3):
        for column in range(3):
            page[row::6, column::6] = True
    with pytest.raises(InputError, match=rf"10,000 pieces of ink; expected at most {MOST}"):
        connected(page)


def test_what_touches_the_edge_is_left_out():
    page = page_of(DIGIT, (0, 200, 60, 10))
    edge = np.ones_like(page)
    edge[1:-1, 1:-1] = False
    found = at_edge(connected(page)[0], edge)
    assert sorted((piece.top, piece.left_out) for piece in found) == [(0, EDGE), (50, "")]


@pytest.mark.parametrize(
    ("fragment", "parts"),
    [
        ((50, 63, 8, 20), 1),  # the flag of a 5, beside its stem
        ((40, 45, 7, 20), 1),  # above
        ((50, 75, 8, 20), 2),  # too far away
        ((50, 63, 60, 10), 2),  # another 1
    ],
)
def test_fragments_join_what_they_nearly_touch(fragment, parts):
    found = joined(connected(page_of(DIGIT, fragment, (50, 150, 60, 10)))[0])
    assert len(found) == parts + 1


def test_two_lines_of_writing_do_not_join():
    found = joined(connected(page_of(DIGIT, (124, 50, 60, 10)))[0])
    assert len(found) == 2


def test_digits_that_touch_at_a_point_are_cut_there(train_digits):
    cut = 0
    for seed in range(20):
        written = write_page(train_digits.images[30 * seed :][:2], "touching digits", seed=seed)
        found, _ = connected(written.grey < 128)
        assert len(found) == 1
        halves = separated(found)
        if len(halves) == 2:
            cut += 1
            assert all(half.cut for half in halves)
            assert sum(half.mask.sum() for half in halves) == found[0].mask.sum()
            for half, (_, column) in zip(halves, written.centres, strict=True):
                assert abs((half.left + half.right) / 2 - column) < 16
    assert cut >= 5


def test_hardly_a_training_digit_is_cut(train_digits):
    cut = 0
    for image in train_digits.images[::3]:
        mask = redrawn(image)
        cut += len(separated([Piece(0, 0, mask)])) > 1
    assert cut <= 2


def test_two_strokes_are_never_cut():
    ring = page_of((10, 10, 40, 90))
    ring[18:42, 18:92] = False
    found, _ = connected(ring)
    assert separated(found) == found


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ((50, 200, 60, 12), ""),
        ((50, 200, 60, 50), BLOB),
        ((100, 200, 8, 12), LOW_INK),
        ((100, 200, 12, 90), LINE),
    ],
)
def test_what_has_no_digits_shape_is_left_out(box, why):
    found = judged(connected(page_of(DIGIT, box))[0])
    assert [piece.left_out for piece in found if piece.left == 200] == [why]
    assert [piece.left_out for piece in found if piece.left == 50] == [""]


def test_no_training_digit_has_another_shape(train_digits):
    found = judged([Piece(0, 0, redrawn(image)) for image in train_digits.images[::3]])
    assert sum(bool(piece.left_out) for piece in found) <= 1


def test_writing_that_is_too_small_is_left_out():
    small = page_of((10, 10, pieces.SMALLEST - 1, 2), (10, 20, pieces.SMALLEST, 2))
    assert [piece.left_out for piece in judged(connected(small)[0])] == [LOW_INK, ""]


@given(
    st.integers(1, 4),
    st.lists(st.integers(1, 6), min_size=4, max_size=4),
    st.floats(-0.12, 0.12),
    st.randoms(),
)
def test_reading_order_follows_leaning_lines(rows, lengths, lean, random):
    written = [
        Piece(200 + 80 * row + round(lean * 60 * column) + random.randint(-6, 6), 60 * column, ONE)
        for row in range(rows)
        for column in range(lengths[row])
    ]
    shuffled = written.copy()
    random.shuffle(shuffled)
    found = in_reading_order(shuffled)
    assert boxes(found) == boxes(written)
    assert [piece.row for piece in found] == [r for r in range(rows) for _ in range(lengths[r])]


ONE = np.ones((50, 20), bool)
