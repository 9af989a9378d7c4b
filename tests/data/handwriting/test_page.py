import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw

from mnist_course.data.handwriting import LEAST, STEPS, Reading, find_digits
from mnist_course.data.handwriting.paper import DISTURBANCES, write_page
from mnist_course.data.handwriting.rules import turned_points
from mnist_course.errors import InputError


def distance(found, image):
    """How much two 28×28 images differ, beside how much ink they have; 0 for the same."""
    one, other = found.astype(float), image.astype(float)
    return np.abs(one - other).sum() / (one.sum() + other.sum())


def found_at(page, centres):
    """The index of the piece over each point of the paper, -1 where there is none."""
    points = turned_points(centres, -page.angle, page.grey.shape, page.mask.shape)
    return [
        next(
            (
                index
                for index, piece in enumerate(page.digits)
                if piece.top <= row < piece.bottom and piece.left <= column < piece.right
            ),
            -1,
        )
        for row, column in points
    ]


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_digits_are_found_in_order_under_every_disturbance(disturbance, train_digits):
    right = total = extra = 0
    for seed in range(4):
        images = train_digits.images[40 * seed : 40 * seed + 40 : 8]
        written = write_page(images, disturbance, seed=seed)
        page = find_digits(written.grey)
        found = found_at(page, written.centres)
        total += len(images)
        right += len({*found} - {-1})
        extra += len(page.digits) - len({*found} - {-1})
        present = [index for index in found if index >= 0]
        assert present == sorted(present)
    assert right >= (0.65 if disturbance == "touching digits" else 0.9) * total
    assert extra <= 2


@pytest.mark.parametrize("disturbance", ["none", "shadow", "chalk", "JPEG", "noise"])
def test_what_comes_out_looks_like_what_was_written(disturbance, train_digits):
    images = train_digits.images[[7, 21, 35, 49, 63]]
    written = write_page(images, disturbance, seed=3)
    page = find_digits(written.grey)
    assert page.chalk == (disturbance == "chalk")
    differences = [
        distance(page.images[index], image)
        for index, image in zip(found_at(page, written.centres), images, strict=True)
        if index >= 0
    ]
    assert len(differences) >= 4
    assert np.mean(differences) < 0.3


def sheet(draw_on, size=(420, 200), paper=235):
    page = Image.new("L", size, paper)
    draw_on(ImageDraw.Draw(page))
    return np.asarray(page)


@pytest.mark.parametrize("pen", [2, 5, 9, 14])
def test_a_seven_drawn_with_any_pen_is_one_piece_in_the_box(pen):
    page = sheet(
        lambda draw: draw.line([(150, 50), (200, 50), (170, 140)], fill=30, width=pen, joint="curve")
    )
    found = find_digits(page)
    assert len(found.digits) == 1
    rows, columns = (found.images[0].any(axis=axis).nonzero()[0] for axis in (1, 0))
    assert rows[-1] - rows[0] + 1 == 20
    assert columns[-1] - columns[0] + 1 < 20


def test_a_page_keeps_every_step_in_documented_shapes(train_digits):
    written = write_page(train_digits.images[:4], "all at once", seed=0)
    page = find_digits(written.grey)
    assert page.grey is written.grey
    assert page.light.shape == page.grey.shape
    assert page.ink.shape == page.mask.shape == page.rules.shape
    assert (page.light.dtype, page.ink.dtype, page.mask.dtype) == (np.float32, np.float32, bool)
    assert page.images.shape == (len(page.digits), 28, 28)
    assert page.images.dtype == np.uint8
    for piece in (*page.digits, *page.left_out):
        inside = page.mask[piece.top : piece.bottom, piece.left : piece.right]
        assert (inside >= piece.mask).all(), "ink from nowhere"


def test_a_postal_code_and_an_amount_are_two_lines(train_digits):
    above, below = (
        write_page(train_digits.images[first : first + count], seed=1).grey
        for first, count in ((0, 5), (10, 3))
    )
    page = np.full((above.shape[0] + below.shape[0], max(above.shape[1], below.shape[1])), 235, np.uint8)
    page[: above.shape[0], : above.shape[1]] = above
    page[above.shape[0] :, : below.shape[1]] = below
    assert [piece.row for piece in find_digits(page).digits] == [0] * 5 + [1] * 3


def test_what_is_no_digit_is_left_out_with_the_reason():
    def draw_on(draw):
        draw.line([(60, 60), (60, 140)], fill=30, width=8)  # a 1
        draw.line([(110, 60), (110, 140)], fill=30, width=8)
        draw.ellipse([(150, 70), (192, 112)], fill=30)
        draw.line([(240, 100), (340, 100)], fill=30, width=8)
        draw.rectangle([(128, 132), (140, 140)], fill=30)
        draw.line([(380, 0), (380, 80)], fill=30, width=8)
        draw.point([(20, 20), (30, 150), (350, 40)], fill=0)

    page = find_digits(sheet(draw_on))
    assert [piece.left for piece in page.digits] == pytest.approx([56, 106], abs=2)
    reasons = {piece.left_out for piece in page.left_out}
    assert reasons == {"a blob", "a line", "too low", "cut off by the edge"}


@pytest.mark.parametrize("paper", [0, 90, 255])
@pytest.mark.parametrize("noise", [0, 3, 12])
def test_a_blank_page_has_no_digit(paper, noise):
    rng = np.random.default_rng(0)
    page = np.clip(paper + rng.normal(0, noise, (300, 200)), 0, 255).astype(np.uint8)
    found = find_digits(page)
    assert len(found.digits) == 0
    assert found.images.shape == (0, 28, 28)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=8, max_side=60)))
def test_any_pixels_give_a_page_or_one_line(grey):
    with suppress(InputError):  # hundreds of specks
        page = find_digits(grey)
        assert page.images.shape == (len(page.digits), 28, 28)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_changes_what_the_network_gets(step, train_digits):
    disturbance = {
        "illumination": "shadow", "rules": "squared paper", "joining": "broken strokes",
        "cutting": "touching digits", "pen": "thin pen",
    }.get(step, "none")  # fmt: skip
    same = 0
    for seed in range(4):
        written = write_page(train_digits.images[5 * seed : 5 * seed + 5], disturbance, seed=seed)
        with_it, without = find_digits(written.grey), find_digits(written.grey, skip={step})
        same += np.array_equal(with_it.images, without.images)
    assert same < 4


@pytest.mark.parametrize(
    ("page", "skip", "says"),
    [
        (np.zeros((28, 28)), (), r"the page is float64 of shape \(28, 28\); expected uint8"),
        (np.zeros((28, 28, 3), np.uint8), (), r"shape \(28, 28, 3\); expected uint8 of shape \(H, W\)"),
        ([[0]], (), "the page is list"),
        (np.zeros((4, 100), np.uint8), (), "expected at least 8 a side"),
        (np.zeros((28, 28), np.uint8), {"ironing"}, "unknown step 'ironing'; expected some of illum"),
    ],
)
def test_what_is_no_page_is_refused(page, skip, says):
    with pytest.raises(InputError, match=says):
        find_digits(page, skip=skip)


def test_a_reading_has_the_lines_with_a_question_mark_for_doubt(train_digits):
    page = find_digits(write_page(train_digits.images[:3], seed=0).grey)
    probabilities = np.full((3, 10), (1 - LEAST) / 10)
    probabilities[[0, 1, 2], [4, 2, 7]] = [LEAST + 0.01, LEAST - 0.01, 1]
    reading = Reading(page, probabilities)
    assert reading.labels.tolist() == [4, 2, 7]
    assert reading.read.tolist() == [True, False, True]
    assert reading.lines == ["4?7"]


def test_a_reading_needs_a_row_for_each_digit(train_digits):
    page = find_digits(write_page(train_digits.images[:3], seed=0).grey)
    with pytest.raises(InputError, match=r"shape \(2, 10\); expected \(3, 10\)"):
        Reading(page, np.zeros((2, 10)))


def test_importing_it_loads_neither_scipy_nor_pillow():
    code = "import sys, mnist_course.data, mnist_course.data.handwriting; " + (
        "assert not {'scipy', 'PIL', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(st.sampled_from(DISTURBANCES), st.integers(0, 100), st.integers(1, 4))
@settings(max_examples=20)
def test_a_written_page_is_the_same_again_and_has_ink_at_its_centres(disturbance, seed, count):
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 4:24, 12:16] = 255
    written = write_page(images, disturbance, seed=seed)
    assert np.array_equal(written.grey, write_page(images, disturbance, seed=seed).grey)
    assert written.centres.shape == (count, 2)
    rows = np.rint(written.centres[:, 0]).astype(int)
    around = written.grey[rows.min() - 8 : rows.max() + 9]
    assert around.min() < 0.7 * around.max()


@pytest.mark.parametrize(
    ("images", "disturbance", "says"),
    [
        (np.zeros((0, 28, 28), np.uint8), "none", r"expected uint8 \(N, 28, 28\)"),
        (np.zeros((1, 28, 28)), "none", "images are float64"),
        (np.full((1, 28, 28), 9, np.uint8), "coffee", "unknown disturbance 'coffee'"),
    ],
)
def test_a_page_is_written_only_with_digits(images, disturbance, says):
    with pytest.raises(InputError, match=says):
        write_page(images, disturbance, seed=0)
