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
