"""The networks of the ladders in chapter 12, from the common script's to the fastest."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mnist_course.data.batches import require_bytes
from mnist_course.errors import InputError
from mnist_course.pytorch.training import predict_probabilities

PIXEL_MEAN, PIXEL_SD = 0.1307, 0.3081
"""Of the 60,000 training images in [0, 1]; most scripts on MNIST shift and scale by them."""


class LadderCNN(nn.Module):
    """A small convolutional network with what the rungs of a ladder switch on and off.

    With the defaults it is the network of PyTorch's own MNIST example: 1,199,882 parameters.

    Parameters
    ----------
    channels, kernel_sizes
        Of the convolutions, two or more, which have no padding.
    crop
        Pixels cut off each side of the images first. Within 2 of the border MNIST has hardly any ink.
    early_pooling
        Max-pool 2 × 2 after each of the first two convolutions, before its activation; where a side is
        odd the last row is pooled alone. Otherwise pool once, after the second activation.
    batch_norm
        Normalise each convolution's channels over the batch, before the activation. The convolutions
        have no bias then, because the normalisation would subtract it again.
    dropout
        Shares dropped before and after the hidden layer.
    hidden
        Units of the dense layer between the features and the logits; 0 leaves it out.

    References
    ----------
    The example: ``mnist/main.py`` of the repository pytorch/examples.
    """

    def __init__(
        self,
        channels: Sequence[int] = (32, 64),
        kernel_sizes: Sequence[int] = (3, 3),
        *,
        crop: int = 0,
        early_pooling: bool = False,
        batch_norm: bool = False,
        dropout: Sequence[float] = (0.25, 0.5),
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.shown = slice(crop, 28 - crop)
        side = 28 - 2 * crop
        layers: list[nn.Module] = []
        pairs = pairwise((1, *channels))
        for index, ((before, after), size) in enumerate(zip(pairs, kernel_sizes, strict=True)):
            layers.append(nn.Conv2d(before, after, size, bias=not batch_norm))
            side -= size - 1
            pooled = index < 2 if early_pooling else index == 1
            layers += [nn.MaxPool2d(2, ceil_mode=True)] if pooled and early_pooling else []
            layers += [nn.BatchNorm2d(after)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            layers += [nn.MaxPool2d(2, ceil_mode=True)] if pooled and not early_pooling else []
            side = -(-side // 2) if pooled else side
        layers += [nn.Dropout(dropout[0]), nn.Flatten()]
        width = channels[-1] * side * side
        if hidden:
            layers += [nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout[1])]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden or width, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) in [0, 1] to logits (N, 10)."""
        images = images[:, :, self.shown, self.shown]
        return self.layers((images - PIXEL_MEAN) / PIXEL_SD)


class BlockCNN(nn.Module):
    """Blocks of 3 × 3 convolutions without padding; between two blocks the largest of 2 × 2.

    Every convolution is followed by batch normalisation and ReLU.

    Parameters
    ----------
    blocks
        Channels of the convolutions of each block. ``[[32, 32], [64, 64], [128]]`` leaves 2 × 2 pixels.
    average
        Average each channel over the pixels that are left, before the logits. That takes fewer weights.
    dropout
        Share dropped before the logits.

    Raises
    ------
    InputError
        More convolutions than the images have pixels for.
    """

    def __init__(
        self, blocks: Sequence[Sequence[int]], *, average: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        side, before = 28, 1
        for index, block in enumerate(blocks):
            layers += [nn.MaxPool2d(2)] if index else []
            side = side // 2 if index else side
            for channels in block:
                layers += [
                    nn.Conv2d(before, channels, 3, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(inplace=True),
                ]
                side, before = side - 2, channels
        if side < 1:
            raise InputError(f"the blocks {blocks} leave no pixel of 28 × 28; leave a convolution out")
        if average:
            layers.append(nn.AdaptiveAvgPool2d(1))
            side = 1
        layers += [nn.Flatten(), nn.Dropout(dropout), nn.Linear(before * side * side, 10)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) in [0, 1] to logits (N, 10)."""
        return self.layers((images - PIXEL_MEAN) / PIXEL_SD)


SHIFTS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Pixels down and to the right by which `predict_shifted` moves an image."""


def predict_shifted(model: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Average a network's probabilities over an image as it is and shifted by a pixel in each direction.

    Parameters
    ----------
    model
        Takes images (N, 1, 28, 28) in [0, 1], returns logits (N, classes).
    images
        Bytes (N, 28, 28). What is shifted out at a border is lost, and zeros come in.

    Returns
    -------
    array (N, classes)
        Rows sum to 1.

    Raises
    ------
    InputError
        Images of another type or shape.
    """
    require_bytes(images)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    height, width = images.shape[1:]
    views = (
        padded[:, 1 - down : 1 - down + height, 1 - right : 1 - right + width] for down, right in SHIFTS
    )
    return np.mean([predict_probabilities(model, view) for view in views], axis=0)
