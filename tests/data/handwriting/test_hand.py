import numpy as np
import pytest

from mnist_course.data.handwriting.hand import HABITS, write_digits
from mnist_course.errors import InputError


def test_digits_are_written_as_mnist_stores_them():
    images = write_digits(np.arange(10).repeat(3), seed=0)
    assert images.shape == (30, 28, 28)
    assert images.dtype == np.uint8
    for image in images:
        rows, columns = image.any(axis=1).nonzero()[0], image.any(axis=0).nonzero()[0]
        assert max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 == 20
        assert 0.03 < (image > 127).mean() < 0.4


def test_the_same_seed_writes_the_same_and_no_digit_is_written_twice_alike():
    labels = [3, 3, 3, 3]
    images = write_digits(labels, seed=1)
    assert np.array_equal(images, write_digits(labels, seed=1))
    assert len({image.tobytes() for image in images}) == len(labels)


@pytest.mark.parametrize("habit", HABITS)
def test_a_habit_changes_its_digit_and_no_other(habit):
    for label in range(10):
        plain, changed = (write_digits([label], seed=2, habits=habits) for habits in ((), (habit,)))
        assert np.array_equal(plain, changed) == (label != HABITS[habit][0])


def test_without_habits_every_digit_is_nearest_to_its_own_class_in_mnist(train_digits):
    """The hand is a hand: most of what it writes looks like what MNIST's writers wrote."""
    means = np.stack([train_digits.images[train_digits.labels == c].mean(axis=0) for c in range(10)])
    labels = np.arange(10).repeat(4)
    images = write_digits(labels, seed=3, habits=()).astype(float)
    nearest = ((images[:, None] - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
    assert (nearest == labels).mean() > 0.6


def test_nothing_is_written_for_no_labels():
    assert write_digits(np.zeros(0, int), seed=0).shape == (0, 28, 28)


@pytest.mark.parametrize(
    ("labels", "habits", "says"),
    [
        ([10], (), r"labels are \[10\]; expected integers 0 to 9"),
        ([[1]], (), "expected integers 0 to 9 in a row"),
        ([1.5], (), "expected integers"),
        ([1], ("blots",), "unknown habit 'blots'; expected some of upstroke, bar, slash"),
    ],
)
def test_what_nobody_can_write_is_refused(labels, habits, says):
    with pytest.raises(InputError, match=says):
        write_digits(labels, seed=0, habits=habits)
