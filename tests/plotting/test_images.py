import matplotlib.pyplot as plt
import numpy as np
import pytest

from mnist_course import plotting
from mnist_course.errors import InputError
from mnist_course.evaluation import Evaluation

RNG = np.random.default_rng(0)
NAMES = ("cat", "dog", "owl")


def test_an_image_grid_shows_every_image_with_its_title_and_hides_the_rest():
    images = RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8)
    axes = plotting.image_grid(images, range(7), columns=4)
    assert axes.shape == (2, 4)
    for index, ax in enumerate(axes.flat[:7]):
        np.testing.assert_array_equal(ax.images[0].get_array(), images[index])
        assert ax.images[0].get_clim() == (0, 255)
        assert ax.get_title(loc="center") == str(index)
        assert ax.title.get_fontsize() >= 9
    assert not axes.flat[7].images
    assert not any(ax.axison for ax in axes.flat)


def test_an_image_grid_draws_where_it_is_told():
    _, axes = plt.subplots(1, 3)
    assert plotting.image_grid(np.zeros((2, 4, 4)), axes=axes) is axes
    assert [len(ax.images) for ax in axes] == [1, 1, 0]


@pytest.mark.parametrize(
    ("images", "limits"),
    [
        (np.full((1, 2, 2), 0.3), (0, 1)),
        (np.array([[[-1.0, 4.0]]]), (-1, 4)),
        (np.array([[[np.nan, 0.5]]]), (0, 1)),
        (np.full((1, 2, 2), np.nan), (0, 1)),
        (np.zeros((28, 28), np.uint8), (0, 255)),
    ],
)
def test_the_grey_scale_fits_the_images(images, limits):
    assert plotting.image_grid(images)[0, 0].images[0].get_clim() == limits


def test_missing_pixels_have_a_colour_that_no_ink_has():
    image = plotting.image_grid(np.array([[[np.nan, 0.5], [0, 1]]]))[0, 0].images[0]
    missing, *known = image.to_rgba(image.get_array()).reshape(4, 4)[:, :3]
    assert np.ptp(missing) > 0.3
    assert all(np.ptp(colour) < 1e-6 for colour in known)


def test_a_heatmap_says_what_its_colour_means():
    _, ax = plt.subplots()
    assert plotting.heatmap([[0, 2], [1, 1]], "ink", ax, vmax=4) is ax
    assert ax.images[0].get_clim() == (0, 4)
    assert ax.images[0].colorbar.ax.get_ylabel() == "ink"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plotting.image_grid(np.zeros((0, 28, 28))), "expected \\(N, H, W\\)"),
        (lambda: plotting.image_grid(np.zeros((2, 3, 4, 1))), "shape \\(2, 3, 4, 1\\)"),
        (lambda: plotting.image_grid(np.zeros((2, 3, 3)), ["one"]), "1 titles came for 2 images"),
        (
            lambda: plotting.image_grid(np.zeros((3, 4, 4)), axes=plt.subplots(1, 2)[1]),
            "2 Axes came for 3 images",
        ),
    ],
)
def test_bad_input_is_refused_with_what_to_do(call, says):
    with pytest.raises(InputError, match=says):
        call()


def three_mistakes_of_five():
    logits = np.array([[9.0, 0, 0], [0, 2, 0], [0, 0, 9], [0, 5, 0], [0, 0, 50]])
    return Evaluation(logits, np.array([0, 0, 2, 2, 1]), NAMES)


def test_the_gallery_shows_mistakes_the_most_confident_first():
    images = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    axes = plotting.error_gallery(images, three_mistakes_of_five(), columns=2)
    shown = [int(ax.images[0].get_array()[0, 0]) for ax in axes.flat if ax.images]
    assert shown == [4, 3, 1]
    titles = [ax.get_title(loc="center").splitlines() for ax in axes.flat if ax.images]
    assert [title[0] for title in titles] == ["dog → owl", "owl → dog", "cat → dog"]
    assert titles[0][1] == "99.9 %", "no network is certain"


def test_the_gallery_shows_no_more_than_asked_and_where_it_is_told():
    _, axes = plt.subplots(1, 2)
    assert plotting.error_gallery(np.zeros((5, 4, 4)), three_mistakes_of_five(), 1, axes=axes) is axes
    assert [len(ax.images) for ax in axes] == [1, 0]


@pytest.mark.parametrize(
    ("images", "kept", "message"),
    [(4, slice(None), "4 images came with an evaluation of 5"), (2, [0, 2], "no mistake to show")],
)
def test_a_gallery_needs_the_images_that_were_evaluated_and_a_mistake(images, kept, message):
    result = three_mistakes_of_five()
    result = Evaluation(result.logits[kept], result.labels[kept], NAMES)
    with pytest.raises(InputError, match=message):
        plotting.error_gallery(np.zeros((images, 4, 4)), result)
