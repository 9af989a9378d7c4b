"""A layer's outputs, as rows."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnist_course.errors import InputError
from mnist_course.finetuning.features import features
from mnist_course.pytorch.loaders import to_tensor
from mnist_course.pytorch.models import build
from mnist_course.pytorch.regularized import build as regularized


def by_hand(model, images):
    """LeNet-5's layers, written out."""
    with torch.no_grad():
        x = to_tensor(images)
        found = {"conv1": model.conv1(x)}
        found["conv2"] = model.conv2(F.max_pool2d(F.relu(found["conv1"]), 2))
        found["fc1"] = model.fc1(F.max_pool2d(F.relu(found["conv2"]), 2).flatten(1))
        found["fc2"] = model.fc2(F.relu(found["fc1"]))
        found["fc3"] = model.fc3(F.relu(found["fc2"]))
    return found


@pytest.mark.parametrize("layer", ["conv1", "conv2", "fc1", "fc2", "fc3"])
def test_every_layer_gives_what_a_forward_pass_by_hand_gives(layer, test_digits):
    model = build("lenet5", seed=1)
    expected = by_hand(model, test_digits.images)[layer].flatten(1).numpy()
    found = features(model, test_digits.images, layer, batch_size=64)  # the last batch is smaller
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_dropout_is_off_and_the_training_mode_comes_back(test_digits):
    model = regularized(dropout=0.5).train()
    first, second = (features(model, test_digits.images, "fc3") for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert model.training


def test_no_hook_is_left_behind(test_digits):
    model = build("simple_cnn")
    features(model, test_digits.images, "fc1")
    with pytest.raises(InputError):
        features(model, test_digits.images, "dropout")
    assert not any(module._forward_hooks for module in model.modules())


def test_an_unknown_layer_is_refused_with_the_names_there_are(test_digits):
    with pytest.raises(InputError, match="no layer 'fc9'; choose one of conv1, conv2, fc1, fc2"):
        features(build("simple_cnn"), test_digits.images, "fc9")


def test_a_layer_that_never_runs_is_refused(test_digits):
    model = build("simple_cnn")
    model.idle = nn.Linear(2, 2)
    with pytest.raises(InputError, match="'idle' ran 0 times"):
        features(model, test_digits.images, "idle")


def test_a_layer_without_a_row_per_image_is_refused(test_digits):
    class Sum(nn.Module):
        def forward(self, x):
            return x.sum(dim=0)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.scale = Sum(), nn.Linear(1, 1)

        def forward(self, x):
            return self.layer(x)

    with pytest.raises(InputError, match="returned"):
        features(Model(), test_digits.images, "layer")


def test_floats_and_no_images_are_refused(test_digits):
    with pytest.raises(InputError, match="expected uint8"):
        features(build("simple_cnn"), test_digits.images / 255, "fc1")
    with pytest.raises(InputError, match="no images"):
        features(build("simple_cnn"), test_digits.images[:0], "fc1")
