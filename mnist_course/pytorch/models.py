"""The networks of the course as PyTorch modules.

All of them take float32 images of shape (N, 1, 28, 28) in [0, 1] and return logits of shape (N, 10).
Other images raise `mnist_course.errors.InputError`.
"""

from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from mnist_course.data.batches import require_digits, require_scaled
from mnist_course.errors import InputError

DIGITS = (1, 28, 28)


def initialise(module: nn.Module) -> None:
    """Draw weights as Glorot and Bengio (2010) did, uniformly, and set biases to zero.

    All three wings start this way, so their runs compare. PyTorch's own default, weights and biases
    uniform within 1/√fan-in, is what ``layer.reset_parameters()`` gives back.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_images(_: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Refuse images that are bytes, channels last or not scaled, before any layer sees them."""
    if torch.compiler.is_compiling() or not inputs or not isinstance(inputs[0], torch.Tensor):
        return
    images = inputs[0].detach()
    require_digits(tuple(images.shape), DIGITS)
    if not images.is_floating_point():
        raise InputError(
            f"images are {images.dtype}, expected floats in [0, 1]; pass images.float() / 255"
        )
    if images.device.type == "cpu":  # reading a pixel's value would stall a GPU
        with suppress(RuntimeError):  # and inside torch.func.vmap there is none to be read
            require_scaled(images)


class DigitNetwork(nn.Module):
    """A module that looks at its images before it computes with them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_forward_pre_hook(check_images)


class LeNet5(DigitNetwork):
    """LeNet-5 as it is taught today: ReLU and max pooling, 61,706 parameters.

    The network of 1998 had scaled tanh units, trainable subsampling, a partly connected second
    convolution and radial-basis outputs; the layer sizes are the same.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)
        self.apply(initialise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)  # (N, 6, 14, 14)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 16, 5, 5)
        x = x.flatten(1)  # (N, 400)
        x = F.relu(self.fc1(x))  # (N, 120)
        x = F.relu(self.fc2(x))  # (N, 84)
        return self.fc3(x)


class SimpleCNN(DigitNetwork):
    """Two 5×5 convolutions with 10 and 20 channels and one hidden layer, 21,840 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.fc1 = nn.Linear(20 * 4 * 4, 50)
        self.fc2 = nn.Linear(50, 10)
        self.apply(initialise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)  # (N, 10, 12, 12)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 20, 4, 4)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 50)
        return self.fc2(x)


class DenseCNN(DigitNetwork):
    """Two 3×3 convolutions with 32 and 64 channels and a dense layer of 128, 225,034 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3)
        self.fc1 = nn.Linear(64 * 5 * 5, 128)
        self.fc2 = nn.Linear(128, 10)
        self.apply(initialise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)  # (N, 32, 13, 13)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 64, 5, 5)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 128)
        return self.fc2(x)


class SmallCNN(DigitNetwork):
    """`DenseCNN` without its dense layer, 34,826 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3)
        self.fc1 = nn.Linear(64 * 5 * 5, 10)
        self.apply(initialise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)  # (N, 32, 13, 13)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 64, 5, 5)
        return self.fc1(x.flatten(1))


class SingleConvCNN(DigitNetwork):
    """One 3×3 convolution with 32 channels and a dense layer of 128, 693,962 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=3)
        self.fc1 = nn.Linear(32 * 13 * 13, 128)
        self.fc2 = nn.Linear(128, 10)
        self.apply(initialise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)  # (N, 32, 13, 13)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 128)
        return self.fc2(x)


MODELS: dict[str, type[nn.Module]] = {
    "lenet5": LeNet5,
    "simple_cnn": SimpleCNN,
    "dense_cnn": DenseCNN,
    "small_cnn": SmallCNN,
    "single_conv_cnn": SingleConvCNN,
}


def build(name: str, *, seed: int = 0) -> nn.Module:
    """Build a network by name; its weights depend on `seed` alone.

    The global random state of PyTorch is left as it was.

    Raises
    ------
    InputError
        The name is unknown.
    """
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; choose one of {', '.join(MODELS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name]()
