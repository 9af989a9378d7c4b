import matplotlib as mpl

mpl.use("agg")

import ast
import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

from mnist_course import plotting
from mnist_course.errors import InputError
from mnist_course.history import History

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _clean_slate():
    with mpl.rc_context():
        plotting.use_style()
        yield
    plt.close("all")


def grey(colour):
    """Luminance from 0 (black) to 1 (white), as a grey printer shows a colour."""
    return float(np.dot(mpl.colors.to_rgb(colour), (0.299, 0.587, 0.114)))


def test_the_style_is_light_opaque_legible_and_readable_in_grey():
    assert mpl.colors.to_rgba(mpl.rcParams["figure.facecolor"])[3] == 1
    assert grey(mpl.rcParams["figure.facecolor"]) > 0.95
    sizes = ["font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "legend.fontsize"]
    assert min(mpl.rcParams[size] for size in sizes) >= 9
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()
    assert len({str(style) for style in cycle["linestyle"]}) == len(cycle["color"])
    assert max(map(grey, cycle["color"])) < 0.7


def test_nothing_in_the_module_shows_or_saves():
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(inspect.getsource(plotting)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & {"show", "savefig"}


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
        (lambda: plotting.confusion_matrix(np.eye(3), ["a", "b"]), "expected \\(2, 2\\)"),
        (lambda: plotting.learning_curves(History()), "no epoch"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_learning_curves_show_both_quantities_of_both_sets():
    history = History([2.0, 1.0], [0.5, 0.8], [1.5, 1.2], [0.6, 0.7], [1.0, 1.0])
    loss, accuracy = plotting.learning_curves(history)
    assert [list(line.get_ydata()) for line in loss.lines] == [[2, 1], [1.5, 1.2]]
    np.testing.assert_allclose([line.get_ydata() for line in accuracy.lines], [[50, 80], [60, 70]])
    assert [list(line.get_xdata()) for line in loss.lines] == [[1, 2], [1, 2]]
    assert len({(line.get_linestyle(), line.get_marker()) for line in loss.lines}) == 2
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]


def test_learning_curves_need_no_validation():
    _, axes = plt.subplots(2)
    pair = plotting.learning_curves(History([2.0], [0.5], [], [], [1.0]), axes)
    assert pair is axes
    assert [len(ax.lines) for ax in pair] == [1, 1]


def test_a_confusion_matrix_writes_every_count_in_a_colour_that_contrasts():
    matrix = np.array([[980, 0, 3], [1, 1000, 2], [40, 7, 900]])
    ax = plotting.confusion_matrix(matrix, ["0", "1", "2"])
    assert isinstance(ax, Axes)
    written = {tuple(map(round, text.get_position())): text for text in ax.texts}
    shades = ax.images[0].to_rgba(ax.images[0].get_array())
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            text = written.pop((column, row))
            assert text.get_text() == str(count)
            assert abs(grey(text.get_color()) - grey(shades[row, column, :3])) > 0.4
    assert not written
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_class_shares_are_per_cent_of_each_set_and_differ_in_hatch():
    ax = plotting.class_shares({"train": [30, 10], "test": [1, 3]}, ["cat", "dog"])
    heights = [[round(bar.get_height()) for bar in bars] for bars in ax.containers]
    assert heights == [[75, 25], [25, 75]]
    assert len({bars[0].get_hatch() for bars in ax.containers}) == 2
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cat", "dog"]


def test_seed_dots_show_every_seed_and_write_the_mean():
    ax = plotting.seed_dots({"clean": [90, 92], "noisy": [70, 74]}, label="accuracy (%)")
    dots = [list(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None"]
    assert dots == [[90, 92], [70, 74]]
    assert [text.get_text() for text in ax.texts] == ["91.0", "72.0"]
    assert [round(text.xy[1]) for text in ax.texts] == [0, 1]
    assert ax.get_legend() is None


def test_compared_seed_dots_keep_the_series_apart():
    results = {"linear": {"clean": [90, 92], "noisy": [70, 74]}, "voting": {"clean": [95, 96]}}
    ax = plotting.compared_seed_dots(results, label="accuracy (%)")
    dots = [list(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None"]
    bars = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() != "None"]
    assert dots == [[90, 92], [70, 74], [95, 96]]
    assert bars == [91, 72, 95.5]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["clean", "noisy"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["linear", "voting"]
    assert len({line.get_marker() for line in ax.lines} - {"None"}) == 2


def test_a_heatmap_says_what_its_colour_means():
    _, ax = plt.subplots()
    assert plotting.heatmap([[0, 2], [1, 1]], "ink", ax, vmax=4) is ax
    assert ax.images[0].get_clim() == (0, 4)
    assert ax.images[0].colorbar.ax.get_ylabel() == "ink"
