"""The ladders' networks, and asking a network about shifted images."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import nn

from mnist_course.errors import InputError
from mnist_course.pytorch.ladder import SHIFTS, BlockCNN, predict_shifted

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)


@given(
    blocks=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=2), min_size=1, max_size=2),
    average=st.booleans(),
    batch=st.integers(1, 3),
)
def test_a_block_network_returns_ten_logits_whatever_its_blocks(blocks, average, batch):
    network = BlockCNN(blocks, average=average).eval()
    assert network(torch.rand(batch, 1, 28, 28)).shape == (batch, 10)


def test_a_block_network_has_the_weights_that_its_blocks_say():
    network = BlockCNN([[3], [4, 5]], average=True)
    convolutions = 9 * (1 * 3 + 3 * 4 + 4 * 5)
    norms = 2 * (3 + 4 + 5)
    assert sum(p.numel() for p in network.parameters()) == convolutions + norms + 5 * 10 + 10


def test_blocks_that_leave_no_pixel_are_refused():
    with pytest.raises(InputError, match="leave no pixel"):
        BlockCNN([[2, 2], [2, 2], [2, 2], [2]])


class Rows(nn.Module):
    """Logits from a row's and a column's brightness, which tell a shift."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.randn(28 * 28, 4, generator=torch.Generator().manual_seed(0)))

    def forward(self, images):
        return images.flatten(1) @ self.weights


def test_shifted_predictions_are_the_mean_over_the_image_and_its_shifts():
    network = Rows()
    expected = []
    for down, right in SHIFTS:
        moved = np.stack([ndimage.shift(i.astype(float), (down, right), order=0) for i in IMAGES])
        with torch.no_grad():
            logits = network(torch.tensor(moved / 255, dtype=torch.float32))
        expected.append(logits.softmax(1).numpy())
    np.testing.assert_allclose(predict_shifted(network, IMAGES), np.mean(expected, axis=0), atol=1e-6)


@pytest.mark.parametrize("images", [IMAGES.astype(np.float32), IMAGES[0]])
def test_images_that_are_no_bytes_or_no_batch_are_refused(images):
    with pytest.raises(InputError, match="images"):
        predict_shifted(Rows(), images)
