"""The networks of the ladders in chapter 12, from the common script's to the fastest."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

PIXEL_MEAN, PIXEL_SD = 0.1307, 0.3081
"""Of the 60,000 training images in [0, 1]; most scripts on MNIST shift and scale by them."""


class LadderCNN(nn.Module):
    """A small convolutional network with what the rungs of a ladder switch on and off.

    With the defaults it is the network of PyTorch's own MNIST example: 1,199,882 parameters.

    Parameters
    ----------
    channels
        Of the two convolutions; a third number adds a third one, of 3 × 3, that is not pooled.
    kernel_size
        Of the first two; there is no padding.
    early_pooling
        Max-pool 2 × 2 after each of the two, before its activation. Otherwise once, after the second
        activation.
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
        kernel_size: int = 3,
        *,
        early_pooling: bool = False,
        batch_norm: bool = False,
        dropout: Sequence[float] = (0.25, 0.5),
        hidden: int = 128,
    ) -> None:
        super().__init__()
        side = 28
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise((1, *channels))):
            size = kernel_size if index < 2 else 3
            layers.append(nn.Conv2d(before, after, size, bias=not batch_norm))
            side -= size - 1
            if early_pooling and index < 2:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            if batch_norm:
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.ReLU(inplace=True))
            if not early_pooling and index == 1:
                layers.append(nn.MaxPool2d(2))
                side //= 2
        layers += [nn.Dropout(dropout[0]), nn.Flatten()]
        width = channels[-1] * side * side
        if hidden:
            layers += [nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout[1])]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden or width, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) in [0, 1] to logits (N, 10)."""
        return self.layers((images - PIXEL_MEAN) / PIXEL_SD)
