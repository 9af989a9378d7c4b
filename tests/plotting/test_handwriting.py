import matplotlib.pyplot as plt
import numpy as np
import pytest

from mnist_course import plotting
from mnist_course.data.handwriting import Reading, find_digits
from mnist_course.data.handwriting.paper import write_page
from mnist_course.errors import InputError


@pytest.fixture
def page(train_digits):
    grey = write_page(train_digits.images[:12], seed=0).grey.copy()
    grey[:40, 20:28] = 40  # a stroke cut off by the edge
    return find_digits(grey)


def reading_of(page):
    probabilities = np.full((len(page.digits), 10), 0.001)
    probabilities[:, 3] = 0.991
    probabilities[1] = 0.1
    return Reading(page, probabilities)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_every_step_is_shown(page):
    photograph, ink, pieces, digits = plotting.handwriting_steps(page)
    assert np.array_equal(photograph.images[0].get_array(), page.grey)
    assert np.array_equal(ink.images[0].get_array(), page.ink)
    assert np.array_equal(pieces.images[0].get_array() == 1, page.mask)
    assert len(digits.images) == len(page.digits) > 10
    for image, shown in zip(page.images, digits.images, strict=True):
        assert np.array_equal(shown.get_array(), image)


def test_digits_are_numbered_and_the_rest_says_why(page):
    shown = texts(plotting.handwriting_steps(page)[2])
    assert shown[: len(page.digits)] == [str(number + 1) for number in range(len(page.digits))]
    assert "cut off by the edge" in shown[len(page.digits) :]


def test_boxes_differ_in_more_than_colour(page, grey):
    patches = plotting.handwriting_steps(page)[2].patches
    kept, left = patches[: len(page.digits)], patches[len(page.digits) :]
    assert {patch.get_linestyle() for patch in kept}.isdisjoint(p.get_linestyle() for p in left)
    assert left


def test_what_the_network_says_stands_below_each_digit(page):
    shown = texts(plotting.handwriting_steps(reading_of(page))[3])
    assert shown[0] == "3\n99.1 %"
    assert shown[1] == "0?\n10.0 %"


def test_no_text_lies_on_a_digit(page):
    ax = plotting.handwriting_steps(reading_of(page))[3]
    ax.figure.canvas.draw()
    texts = [text.get_window_extent() for text in ax.texts]
    boxes = [patch.get_window_extent() for patch in ax.patches]
    assert not any(text.overlaps(box) for text in texts for box in boxes)


def test_a_page_without_digits_is_shown_too():
    axes = plotting.handwriting_steps(find_digits(np.full((60, 90), 240, np.uint8)))
    assert axes[3].get_title(loc="left") + axes[3].get_title() == "no digit"


def test_steps_are_drawn_where_they_are_told(page):
    axes = plt.subplots(2, 2)[1]
    assert plotting.handwriting_steps(page, axes) is axes
    with pytest.raises(InputError, match="3 Axes came; expected 4"):
        plotting.handwriting_steps(page, plt.subplots(3)[1])
