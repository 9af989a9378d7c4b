"""LeNet-5 with the two regularisers that are layers, for chapter 10 and its benchmarks."""

import torch
from torch import nn
from torch.nn import functional as F

from mnist_course.errors import InputError
from mnist_course.pytorch.models import LeNet5


class RegularizedLeNet5(LeNet5):
    """`LeNet5` with dropout, batch normalisation, both, or neither (then it computes the same).

    Parameters
    ----------
    dropout
        Share of the dense layers' hidden units that is set to zero in training.
    batch_norm
        Normalise each convolution's channels over the batch, before ReLU.

    Raises
    ------
    InputError
        `dropout` is no share.

    References
    ----------
    Srivastava et al., Dropout, 2014; Ioffe and Szegedy, Batch normalization, 2015.
    """

    def __init__(self, *, dropout: float = 0.0, batch_norm: bool = False) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is {dropout}; expected a share of at least 0 and below 1")
        self.norm1 = nn.BatchNorm2d(6) if batch_norm else nn.Identity()
        self.norm2 = nn.BatchNorm2d(16) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(images))), 2)  # (N, 6, 14, 14)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)  # (N, 16, 5, 5)
        x = self.dropout(F.relu(self.fc1(x.flatten(1))))  # (N, 120)
        x = self.dropout(F.relu(self.fc2(x)))  # (N, 84)
        return self.fc3(x)


def build(*, dropout: float = 0.0, batch_norm: bool = False, seed: int = 0) -> RegularizedLeNet5:
    """Build the network with the initial weights that ``build("lenet5", "pytorch", seed=seed)`` has.

    The global random state of PyTorch is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RegularizedLeNet5(dropout=dropout, batch_norm=batch_norm)
