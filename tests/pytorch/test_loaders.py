"""Batches from memory: DataLoader's protocol, every example once, everything fixed by seed and epoch."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import ToTensor

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset, epoch_order, load_mnist
from mnist_course.errors import InputError
from mnist_course.pytorch.augmentation import augment, epoch_generator
from mnist_course.pytorch.loaders import TensorLoader, to_tensor

SIZES = {"count": st.integers(1, 60), "batch_size": st.integers(1, 70)}
BOTH = Augmentation(elastic=(34, 4))


def numbered(count):
    """Images that can be told apart: number i carries i in its first pixel and i % 10 as its label."""
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(count)
    return ImageDataset(images, (np.arange(count) % 10).astype(np.uint8))


def numbers(images):
    return [round(value) for value in (images[:, 0, 0, 0] * 255).tolist()]


def visited(loader):
    return [numbers(images) for images, _ in loader]


def flat(batches):
    return list(chain.from_iterable(batches))


def whole(loader):
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


@pytest.fixture(scope="module")
def digits():
    return load_mnist("test").subset(np.arange(100))


def accuracy_and_loss(model, loader):
    """An evaluation as many scripts have it, written for DataLoader."""
    loss, correct = 0.0, 0
    with torch.no_grad():
        for images, labels in loader:
            logits = model(images)
            loss += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            correct += (logits.argmax(dim=1) == labels).sum().item()
    return len(loader), correct / len(loader.dataset), loss / len(loader.dataset)


@pytest.mark.parametrize("drop_last", [False, True])
def test_it_stands_in_for_a_dataloader(digits, drop_last):
    ours = TensorLoader(digits, 32, shuffle=False, drop_last=drop_last)
    theirs = DataLoader(
        TensorDataset(to_tensor(digits.images), torch.tensor(digits.labels).long()),
        batch_size=32,
        drop_last=drop_last,
    )
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    assert accuracy_and_loss(model, ours) == accuracy_and_loss(model, theirs)
    assert (ours.batch_size, ours.drop_last) == (theirs.batch_size, theirs.drop_last)
    for mine, other in zip(ours, theirs, strict=True):
        assert [(x.dtype, x.shape) for x in mine] == [(x.dtype, x.shape) for x in other]
        assert all((x == y).all() for x, y in zip(mine, other, strict=True))


def test_values_are_those_of_totensor(digits):
    images, labels = whole(TensorLoader(digits, 32, shuffle=False))
    theirs = torch.stack([ToTensor()(Image.fromarray(image)) for image in digits.images])
    assert images.dtype == theirs.dtype
    # x · (1/255) and x / 255 round differently by at most one unit in the last place
    torch.testing.assert_close(images, theirs, rtol=2.0**-23, atol=0)
    assert labels.tolist() == digits.labels.tolist()


@given(**SIZES, seed=st.integers(0, 5))
def test_an_epoch_holds_every_example_once(count, batch_size, seed):
    loader = TensorLoader(numbered(count), batch_size, seed=seed)
    batches = visited(loader)
    assert len(batches) == len(loader)
    assert sorted(flat(batches)) == list(range(count))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}


@given(**SIZES)
def test_drop_last_leaves_out_the_ragged_batch_only(count, batch_size):
    batch_size = min(batch_size, count)
    kept = TensorLoader(numbered(count), batch_size, drop_last=True)
    assert visited(kept) == visited(TensorLoader(numbered(count), batch_size))[: count // batch_size]
    assert len(kept) == count // batch_size


def test_labels_stay_with_their_images():
    for images, labels in TensorLoader(numbered(60), 16):
        assert labels.tolist() == [number % 10 for number in numbers(images)]


def test_each_iteration_is_the_next_epoch_in_the_order_of_all_wings():
    loader = TensorLoader(numbered(60), 16, seed=4)
    for epoch in range(3):
        expected = epoch_order(60, seed=4, epoch=epoch).tolist()
        assert flat(visited(loader)) == expected


def test_an_iteration_that_was_broken_off_counts():
    loader = TensorLoader(numbered(60), 16)
    next(iter(loader))
    assert loader.epoch == 1
    assert flat(visited(loader)) == epoch_order(60, seed=0, epoch=1).tolist()


def test_two_iterations_at_once_do_not_disturb_each_other():
    loader = TensorLoader(numbered(60), 16)
    pairs = list(zip(loader, loader, strict=True))
    for epoch in range(2):
        seen = [numbers(pair[epoch][0]) for pair in pairs]
        assert flat(seen) == epoch_order(60, seed=0, epoch=epoch).tolist()


def test_without_shuffling_the_order_is_the_data_sets():
    loader = TensorLoader(numbered(60), 16, shuffle=False)
    assert flat(visited(loader)) == flat(visited(loader)) == list(range(60))


@pytest.mark.parametrize("augmentation", [None, Augmentation(), BOTH])
def test_set_epoch_resumes(digits, augmentation):
    options = {"seed": 2, "augmentation": augmentation}
    through = TensorLoader(digits, 32, **options)
    epochs = [whole(through) for _ in range(4)]
    resumed = TensorLoader(digits, 32, **options)
    resumed.set_epoch(2)
    for expected in epochs[2:]:
        assert all((x == y).all() for x, y in zip(whole(resumed), expected, strict=True))


def test_alterations_are_those_of_the_epochs_generator(digits):
    loader = TensorLoader(digits, 32, seed=7, augmentation=BOTH)
    loader.set_epoch(3)
    generator, plain = epoch_generator(7, 3), TensorLoader(digits, 32, seed=7)
    plain.set_epoch(3)
    for (altered, _), (images, _) in zip(loader, plain, strict=True):
        assert (altered == augment(images, BOTH, generator)).all()


def test_seed_and_epoch_change_the_alterations(digits):
    def run(seed):
        loader = TensorLoader(digits, 32, shuffle=False, seed=seed, augmentation=Augmentation())
        return [whole(loader)[0] for _ in range(2)]

    first, second = run(0)
    assert all((x == y).all() for x, y in zip(run(0), (first, second), strict=True))
    assert (first - second).abs().max() > 0.1
    assert (first - run(1)[0]).abs().max() > 0.1


def test_alterations_leave_the_images_that_they_start_from(digits):
    loader = TensorLoader(digits, 32, augmentation=BOTH)
    list(loader)
    assert (loader.images == to_tensor(digits.images)).all()


@given(**SIZES, world=st.integers(1, 5), epoch=st.integers(0, 3))
def test_shards_partition_every_batch(count, batch_size, world, epoch):
    batch_size = max(batch_size, world)

    def batches(**shard):
        loader = TensorLoader(numbered(count), batch_size, **shard)
        loader.set_epoch(epoch)
        return visited(loader), len(loader)

    expected, length = batches()
    shards = [batches(shard=(rank, world)) for rank in range(world)]
    assert {length for _, length in shards} == {length}
    for index, batch in enumerate(expected):
        for rank, (parts, _) in enumerate(shards):
            assert parts[index] == batch[rank::world]


@settings(max_examples=10)
@given(world=st.integers(2, 4), batch_size=st.integers(4, 40))
def test_an_image_is_altered_alike_in_every_shard(digits, world, batch_size):
    options = {"seed": 1, "augmentation": BOTH}
    shards = [TensorLoader(digits, batch_size, shard=(rank, world), **options) for rank in range(world)]
    for (images, labels), *parts in zip(
        TensorLoader(digits, batch_size, **options), *shards, strict=True
    ):
        for rank, (some, their_labels) in enumerate(parts):
            # products of matrices of other sizes round differently
            torch.testing.assert_close(some, images[rank::world], atol=2e-5, rtol=0)
            assert (their_labels == labels[rank::world]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"batch_size": True}, "batch_size is True"),
        ({"shard": (2, 2)}, r"shard is \(2, 2\)"),
        ({"shard": (-1, 2)}, r"shard is \(-1, 2\)"),
        ({"shard": (0, 0)}, r"shard is \(0, 0\)"),
        ({"shard": (0, 17)}, "<= 16, the batch size"),
        ({"shard": 3}, "shard is 3"),
        ({"shard": (0.0, 2)}, "shard is"),
        ({"batch_size": 61, "drop_last": True}, "leaves no batch"),
        ({"augmentation": {"rotation": 5}}, "augmentation is a dict"),
        ({"device": "cuda:99"}, "cannot be used here"),
    ],
)
def test_unusable_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        TensorLoader(numbered(60), **{"batch_size": 16, **options})


def test_what_is_no_data_set_is_refused():
    with pytest.raises(InputError, match="empty"):
        TensorLoader(numbered(0), 16)
    with pytest.raises(InputError, match="expected an ImageDataset"):
        TensorLoader(torch.zeros(3, 1, 28, 28), 16)
    with pytest.raises(InputError, match="epoch is -1"):
        TensorLoader(numbered(3), 16).set_epoch(-1)
