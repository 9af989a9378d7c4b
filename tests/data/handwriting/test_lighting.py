import numpy as np
import pytest

from mnist_course.data.handwriting.lighting import background, ink_of, is_chalk
from mnist_course.data.handwriting.paper import write_page
from mnist_course.data.handwriting.threshold import ink_threshold, otsu

SHADOWS = (1, 5, 14)
"""Seeds of long pages on which the edge of the shadow once passed for chalk."""


def page_with_a_bar(paper, pen, shape=(120, 200)):
    page = np.full(shape, paper, np.uint8)
    page[40:80, 95:103] = pen
    return page


@pytest.mark.parametrize(("paper", "pen"), [(230, 40), (90, 30)])
def test_light_strokes_on_dark_are_chalk_and_dark_ones_are_not(paper, pen):
    assert not is_chalk(page_with_a_bar(paper, pen))
    assert is_chalk(page_with_a_bar(pen, paper))


def test_chalk_is_told_from_ink_in_a_shadow_that_covers_half_of_the_page():
    page = page_with_a_bar(230, 40)
    page[:, :90] = page[:, :90] * 0.3
    assert not is_chalk(page)
    assert is_chalk(255 - page)


@pytest.mark.parametrize("seed", SHADOWS)
def test_a_long_row_in_a_shadow_is_ink_and_its_negative_is_chalk(seed, train_digits):
    page = write_page(train_digits.images[:10], "shadow", seed=seed).grey
    assert not is_chalk(page)
    assert is_chalk(255 - page)


def test_the_background_is_the_page_without_its_ink():
    found = background(page_with_a_bar(230, 40))
    np.testing.assert_allclose(found, 230)


def test_the_background_keeps_the_edge_of_a_shadow_where_it_is():
    page = page_with_a_bar(230, 40)
    page[:, :60] = 80
    found = background(page)
    np.testing.assert_allclose(found, np.where(np.arange(200) < 60, 80, 230)[None].repeat(120, 0))


def test_as_much_ink_in_the_shade_as_in_the_light():
    paper = np.linspace(250, 60, 200)[None].repeat(120, 0)
    reflected = np.where(page_with_a_bar(0, 1).astype(bool), 0.25, 1)
    page = np.rint(paper * reflected).astype(np.uint8)
    ink = ink_of(page, background(page))
    assert ink.dtype == np.float32
    assert np.abs(ink - (1 - reflected)).max() < 0.06


def test_ink_is_a_share_even_where_the_page_is_brighter_than_its_background():
    ink = ink_of(np.array([[0, 200, 255]], np.uint8), np.full((1, 3), 200, np.float32))
    np.testing.assert_allclose(ink, [[1, 0, 0]])


def test_otsu_finds_the_greatest_variance_between_two_heaps():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.2, 0.05, 3000), rng.normal(0.7, 0.1, 1000)])

    def between(threshold):
        low, high = values[values <= threshold], values[values > threshold]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    candidates = np.linspace(0.1, 0.9, 400)
    best = max(map(between, candidates))
    assert between(otsu(values)) > 0.999 * best


def test_otsu_cuts_a_gap_in_its_middle():
    assert otsu(np.array([0.0, 0.0, 1.0])) == pytest.approx(0.5, abs=0.01)


def test_a_few_strokes_on_a_large_noisy_page_set_the_threshold():
    rng = np.random.default_rng(1)
    ink = np.clip(rng.normal(0.05, 0.03, (800, 800)), 0, 1).astype(np.float32)
    ink[400:430, 300:304] = 0.6  # a two-thousandth of the page at most
    assert 0.15 < ink_threshold(ink) < 0.55


@pytest.mark.parametrize("sigma", [0, 0.02, 0.08])
def test_noise_alone_is_no_writing(sigma):
    rng = np.random.default_rng(2)
    ink = np.clip(rng.normal(0.1, sigma, (300, 300)), 0, 1).astype(np.float32)
    assert ink_threshold(ink) is None
