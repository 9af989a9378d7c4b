import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_course.data import ImageDataset, epoch_order, scale
from mnist_course.errors import InputError


def dataset_with(labels):
    labels = np.asarray(labels, np.uint8)
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(len(labels)) % 256
    images[:, 0, 1] = np.arange(len(labels)) // 256
    return ImageDataset(images, labels)


@settings(max_examples=60)
@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=200),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_split_is_a_stratified_partition(labels, fraction, seed):
    dataset = dataset_with(labels)
    first, second = dataset.split(fraction, seed=seed)
    together = np.concatenate([first.images, second.images])[:, 0, :2].tolist()
    assert sorted(together) == sorted(dataset.images[:, 0, :2].tolist())
    assert len(first) == round(fraction * len(dataset))
    assert (np.abs(first.counts() - fraction * dataset.counts()) < 1).all()
    again, _ = dataset.split(fraction, seed=seed)
    assert (again.images == first.images).all()


def test_another_seed_gives_another_split():
    dataset = dataset_with([3] * 100)
    pixels = [dataset.split(0.5, seed=seed)[0].images[:, 0, 0].tolist() for seed in (0, 1)]
    assert pixels[0] != pixels[1]


def test_nothing_can_be_changed_in_place():
    source = np.zeros((2, 28, 28), np.uint8)
    dataset = ImageDataset(source, np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        dataset.images[0, 0, 0] = 1
    with pytest.raises(AttributeError):
        dataset.labels = np.ones(2, np.uint8)
    assert source.flags.writeable  # the caller's own array is left alone


@pytest.mark.parametrize("indices", [[], [1, 0, 1], np.array([True, False, True]), slice(1, 3)])
def test_subset_follows_numpy_indexing(indices):
    dataset = dataset_with([4, 5, 6])
    if isinstance(indices, slice):
        indices = np.arange(3)[indices]
    expected = dataset.labels[np.asarray(indices, int if len(indices) == 0 else None)]
    assert dataset.subset(indices).labels.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 28, 28)), np.zeros(2, np.uint8), "float64"),
        (np.zeros((2, 28, 28, 1), np.uint8), np.zeros(2, np.uint8), r"\(2, 28, 28, 1\)"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(3, np.uint8), r"expected uint8 of shape \(2,\)"),
        (np.zeros((1, 28, 28), np.uint8), np.array([10], np.uint8), "label 10 has no class"),
    ],
)
def test_wrong_arrays_are_refused(images, labels, message):
    with pytest.raises(InputError, match=message):
        ImageDataset(images, labels)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_impossible_fractions_are_refused(fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        dataset_with([1, 2]).split(fraction, seed=0)


@given(labels=st.lists(st.integers(0, 2), max_size=30), names=st.permutations(["a", "b", "c", "d"]))
@settings(deadline=None)
def test_renumbering_keeps_every_images_class(labels, names):
    dataset = ImageDataset(dataset_with(labels).images, np.array(labels, np.uint8), ("a", "b", "c"))
    other = dataset.renumbered(tuple(names))
    assert [names[label] for label in other.labels] == ["abc"[label] for label in labels]
    assert (other.images == dataset.images).all()


def test_renumbering_refuses_classes_that_are_not_there():
    dataset = dataset_with([1, 2])
    with pytest.raises(
        InputError, match="the classes do not match: 8, 9 of the data are not among 0, 1"
    ):
        dataset.renumbered(tuple("01234567"))


def test_joining_puts_one_behind_the_other():
    joined = dataset_with([1, 2]).joined(dataset_with([7, 8, 9]))
    assert joined.labels.tolist() == [1, 2, 7, 8, 9]
    assert joined.images[:, 0, 0].tolist() == [0, 1, 0, 1, 2]


def test_joining_refuses_other_classes():
    other = ImageDataset(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8), ("hat", "shoe"))
    with pytest.raises(InputError, match="the classes do not match: hat, shoe are not 0, 1"):
        dataset_with([1, 2]).joined(other)


def test_scale_maps_bytes_to_the_unit_interval():
    pixels = scale(np.arange(256, dtype=np.uint8))
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, np.arange(256) / 255, rtol=1e-6)
    assert pixels[-1] == 1


def test_epoch_order_depends_on_seed_and_epoch_only():
    orders = {
        (seed, epoch): tuple(epoch_order(50, seed=seed, epoch=epoch))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert all(sorted(order) == list(range(50)) for order in orders.values())
    assert len(set(orders.values())) == 4
    assert tuple(epoch_order(50, seed=1, epoch=1)) == orders[1, 1]
