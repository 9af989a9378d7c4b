"""A prompt is a picture on the border, and the network behind it still sees pictures in [0, 1]."""

import numpy as np
import pytest
import torch
from torch import nn

from mnist_course.data import ImageDataset
from mnist_course.errors import InputError
from mnist_course.finetuning.freezing import trainable
from mnist_course.finetuning.prompts import Prompted, match_labels
from mnist_course.models import build
from mnist_course.pytorch.training import fit, predict_logits


def prompted(**options):
    """LeNet-5 behind a prompt of large numbers, both signs."""
    model = Prompted(build("lenet5", seed=1), **options)
    nn.init.normal_(model.prompt, std=3, generator=torch.Generator().manual_seed(0))
    return model


@pytest.fixture
def images():
    return torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("border", [1, 4, 13, 14])
def test_only_the_border_changes(border, images):
    model = prompted(border=border)
    inner = slice(border, 28 - border)
    seen = model.prompted(images)
    assert torch.equal(seen[..., inner, inner], images[..., inner, inner])
    assert trainable(model) == 28**2 - (28 - 2 * border) ** 2
    assert (model.picture() != 0).sum() == trainable(model)


def test_the_network_sees_the_clipped_sum(images):
    model = prompted()
    expected = (images + model.picture()).clamp(0, 1)
    assert torch.equal(model.prompted(images), expected)
    assert torch.equal(model(images), model.base(expected))


def test_a_clipped_pixel_still_learns(images):
    model = prompted(border=14)
    seen = model.prompted(images)
    weights = torch.rand(seen.shape, generator=torch.Generator().manual_seed(2))
    (seen * weights).sum().backward()
    assert ((seen == 0) | (seen == 1)).float().mean() > 0.5
    torch.testing.assert_close(model.prompt.grad, weights.sum(0).flatten())


def test_labels_say_which_output_stands_for_a_class(images):
    model = prompted(labels=[7, 2, 9])
    outputs = model.base(model.prompted(images))
    assert torch.equal(model(images), outputs[:, [7, 2, 9]])


@pytest.mark.parametrize("border", [0, 15, -1, 2.0, True, None])
def test_an_unusable_border_is_refused(border):
    with pytest.raises(InputError, match=r"border is .*; expected a whole number from 1 to 14"):
        Prompted(build("lenet5"), border=border)


@pytest.mark.parametrize("labels", [[], [3], [1, 1], [0, 10], [-1, 2], range(11)])
def test_unusable_labels_are_refused(labels):
    with pytest.raises(InputError, match=r"expected at least two different outputs .* 0 to 9"):
        Prompted(build("lenet5"), labels=labels)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((2, 1, 28, 28), 255.0), "divide bytes by 255"),
        (torch.zeros((2, 1, 28, 28), dtype=torch.uint8), "expected floats"),
        (torch.zeros(2, 28, 28), "add the channel axis"),
    ],
)
def test_images_that_the_network_would_refuse_are_refused(images, message):
    with pytest.raises(InputError, match=message):
        prompted()(images)


@pytest.fixture(scope="module")
def trained(train_digits):
    model = build("lenet5", seed=1)
    fit(model, train_digits, epochs=4, batch_size=20, learning_rate=3e-3, progress=False, device="cpu")
    return model


def test_a_permutation_of_the_labels_is_found(trained, train_digits):
    renamed = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7], np.uint8)  # old label → new label
    data = ImageDataset(train_digits.images, renamed[train_digits.labels])
    assert [renamed[output] for output in match_labels(trained, data)] == list(range(10))


def test_fewer_classes_than_outputs_take_the_best(trained, train_digits):
    data = train_digits.subset(np.isin(train_digits.labels, [6, 8]))
    data = ImageDataset(data.images, (data.labels == 6).astype(np.uint8), ("eight", "six"))
    assert match_labels(trained, data) == [8, 6]


def test_no_other_choice_of_labels_is_better(trained, test_digits):
    """Swapping any two of the chosen outputs loses correct answers or gains none."""
    shifted = ImageDataset(np.roll(test_digits.images, 6, axis=1), test_digits.labels)
    chosen = match_labels(trained, shifted)
    predicted = predict_logits(trained, shifted.images).argmax(axis=1)

    def correct(labels):
        return sum(predicted == np.array(labels)[shifted.labels])

    for first in range(10):
        for second in range(first):
            other = list(chosen)
            other[first], other[second] = other[second], other[first]
            assert correct(other) <= correct(chosen)


def test_more_classes_than_outputs_are_refused(train_digits):
    data = ImageDataset(train_digits.images, train_digits.labels, tuple("abcdefghijk"))
    with pytest.raises(InputError, match="11 classes are more than the network's 10 outputs"):
        match_labels(build("lenet5"), data)


def test_matching_without_images_is_refused(train_digits):
    with pytest.raises(InputError, match="cannot be matched without images"):
        match_labels(build("lenet5"), train_digits.subset([]))
