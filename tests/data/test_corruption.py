import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mnist_course.data import scale
from mnist_course.data.corruption import (
    add_gaussian_noise,
    add_salt_and_pepper,
    denoise,
    drop_patch,
    drop_pixels,
    flip_labels,
    impute,
)
from mnist_course.errors import InputError

GREY = np.full((50, 28, 28), 0.5, np.float32)
RANDOM = {
    "gaussian": lambda images, seed: add_gaussian_noise(images, 0.1, seed=seed),
    "salt and pepper": lambda images, seed: add_salt_and_pepper(images, 0.1, seed=seed),
    "pixels": lambda images, seed: drop_pixels(images, 0.1, seed=seed),
    "patch": lambda images, seed: drop_patch(images, 5, seed=seed),
}
small_images = arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    elements=st.one_of(st.floats(0, 1, width=32), st.just(np.float32(np.nan))),
)


@pytest.mark.parametrize("damage", RANDOM.values(), ids=RANDOM)
def test_damage_follows_its_seed_and_leaves_its_input_alone(damage):
    images = GREY.copy()
    first = damage(images, 1)
    np.testing.assert_array_equal(images, GREY)
    np.testing.assert_array_equal(first, damage(images, 1))
    assert not np.array_equal(first, damage(images, 2), equal_nan=True)
    assert first.dtype == np.float32
    assert first.shape == images.shape


def test_gaussian_noise_has_its_standard_deviation_and_stays_in_range():
    noise = add_gaussian_noise(GREY, 0.1, seed=0) - GREY
    assert abs(noise.mean()) < 0.002
    assert abs(noise.std() - 0.1) < 0.002
    strong = add_gaussian_noise(GREY, 5, seed=0)
    assert strong.min() == 0
    assert strong.max() == 1
    np.testing.assert_array_equal(add_gaussian_noise(GREY, 0, seed=0), GREY)


def test_salt_and_pepper_are_equally_frequent():
    noisy = add_salt_and_pepper(GREY, 0.3, seed=0)
    assert abs((noisy == 0).mean() - 0.15) < 0.01
    assert abs((noisy == 1).mean() - 0.15) < 0.01
    assert abs((noisy == 0.5).mean() - 0.7) < 0.01
    assert set(np.unique(add_salt_and_pepper(GREY, 1, seed=0))) == {0, 1}


def test_dropped_pixels_are_missing_in_the_stated_share():
    missing = np.isnan(drop_pixels(GREY, 0.25, seed=0))
    assert abs(missing.mean() - 0.25) < 0.01
    assert not np.isnan(drop_pixels(GREY, 0, seed=0)).any()
    assert np.isnan(drop_pixels(GREY, 1, seed=0)).all()


def test_a_dropped_patch_is_one_square_in_every_image_and_reaches_every_corner():
    missing = np.isnan(drop_patch(np.zeros((2000, 6, 7), np.float32), 3, seed=0))
    assert (missing.sum((1, 2)) == 9).all()
    for image in missing[:50]:
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        assert np.ptp(rows) == np.ptp(columns) == 2
    assert missing[:, [0, 0, -1, -1], [0, -1, 0, -1]].any(0).all()


@settings(deadline=None)
@given(small_images, st.sampled_from(["zero", "mean", "neighbours"]))
def test_imputation_fills_every_hole_and_touches_nothing_else(images, method):
    filled = impute(images, method)
    known = ~np.isnan(images)
    np.testing.assert_array_equal(filled[known], images[known])
    assert filled.dtype == np.float32
    assert filled.shape == images.shape
    assert ((filled >= 0) & (filled <= 1)).all()


def test_means_come_from_the_reference():
    reference = np.stack([np.full((2, 2), value, np.float32) for value in (0.2, 0.4, np.nan)])
    reference[:, 0, 0] = np.nan
    filled = impute(np.full((1, 2, 2), np.nan, np.float32), "mean", reference=reference)
    np.testing.assert_allclose(filled[0], [[0, 0.3], [0.3, 0.3]], rtol=1e-6)


def test_neighbours_are_averaged_ring_by_ring():
    image = np.full((1, 5, 5), np.nan, np.float32)
    image[0, 0] = [0, 0.2, 0.4, 0.6, 0.8]
    filled = impute(image, "neighbours")[0]
    np.testing.assert_allclose(filled[1], [0.1, 0.2, 0.4, 0.6, 0.7], rtol=1e-6)
    np.testing.assert_allclose(filled[2, 0], (0.1 + 0.2) / 2, rtol=1e-6)
    assert not np.isnan(filled).any()


def test_a_known_neighbour_in_a_corner_counts():
    image = np.zeros((1, 3, 3), np.float32)
    image[0, 0, 0] = 0.8
    image[0, 1, 1] = np.nan
    assert impute(image, "neighbours")[0, 1, 1] == pytest.approx(0.1)


def test_neighbours_restore_a_digit_better_than_zeros(train_digits):
    images = scale(train_digits.images)
    damaged = drop_pixels(images, 0.3, seed=0)
    error = {m: np.abs(impute(damaged, m) - images).mean() for m in ("zero", "mean", "neighbours")}
    assert error["neighbours"] < 0.5 * error["mean"]
    assert error["neighbours"] < 0.5 * error["zero"]


def test_the_median_removes_single_pixels_and_keeps_edges():
    image = np.zeros((2, 8, 8), np.float32)
    image[0, :, 4:] = 1
    noisy = image.copy()
    noisy[0, 3, 1] = 1
    noisy[1, 5, 5] = 1
    np.testing.assert_array_equal(denoise(noisy), image)
    np.testing.assert_array_equal(denoise(noisy, 1), noisy)


@given(
    arrays(np.uint8, st.integers(0, 60), elements=st.integers(0, 9)),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_exactly_the_stated_share_of_labels_becomes_wrong(labels, fraction, seed):
    flipped = flip_labels(labels, fraction, seed=seed)
    assert (flipped != labels).sum() == round(fraction * len(labels))
    assert flipped.dtype == np.uint8
    assert (flipped <= 9).all()
    np.testing.assert_array_equal(flipped, flip_labels(labels, fraction, seed=seed))


def test_every_wrong_class_is_equally_likely():
    flipped = flip_labels(np.full(9000, 3, np.uint8), 1, seed=0)
    counts = np.bincount(flipped, minlength=10)
    assert counts[3] == 0
    assert np.delete(counts, 3).min() > 850
    assert set(flip_labels(np.zeros(5, np.uint8), 1, seed=0, classes=2)) == {1}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: add_gaussian_noise(np.zeros((2, 3, 3), np.uint8), 0.1, seed=0), r"scale\(images\)"),
        (lambda: add_gaussian_noise(np.zeros((3, 3)), 0.1, seed=0), r"shape \(3, 3\)"),
        (lambda: add_gaussian_noise(255 * GREY, 0.1, seed=0), "39200 pixels lie outside"),
        (lambda: add_gaussian_noise(GREY, -1, seed=0), "sigma is -1"),
        (lambda: add_gaussian_noise(GREY, float("nan"), seed=0), "sigma is nan"),
        (lambda: add_salt_and_pepper(GREY, 1.5, seed=0), "fraction is 1.5"),
        (lambda: drop_pixels(GREY, -0.5, seed=0), "fraction is -0.5"),
        (lambda: drop_patch(GREY, 29, seed=0), "does not fit"),
        (lambda: impute(GREY, "median"), "unknown method 'median'"),
        (lambda: denoise(drop_pixels(GREY, 0.5, seed=0)), "call impute first"),
        (lambda: denoise(GREY, 2), "size is 2"),
        (lambda: flip_labels(np.zeros(3, np.uint8), 2, seed=0), "fraction is 2"),
        (lambda: flip_labels(np.array([7], np.uint8), 0, seed=0, classes=5), "5 classes"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(call, says):
    with pytest.raises(InputError, match=says):
        call()
