r"""Visual prompts: the network stays as it is, and its input gets a learned picture.

A prompt δ is added to every image x, by default to its border only, before the frozen network f:

.. math:: \text{logits} = f(\mathrm{clip}(x + \delta, 0, 1))_{\text{labels}}

Nothing inside the network changes, so one copy of it serves many tasks, each with a small picture. The
network's outputs are used as they are too: `labels` says which of them stands for which class of the new
task. Bahng et al. take the first ones; `match_labels` takes those that the network already leans to.

References
----------
Bahng et al., Exploring visual prompts for adapting large-scale models, 2022.
Elsayed, Goodfellow and Sohl-Dickstein, Adversarial reprogramming of neural networks, 2019.
Chen et al., Understanding and improving visual prompting: a label-mapping perspective, 2023.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from mnist_course.data import ImageDataset
from mnist_course.errors import InputError
from mnist_course.finetuning.extending import Extended, require_plain, require_whole
from mnist_course.finetuning.freezing import head
from mnist_course.pytorch.models import DIGITS, check_images
from mnist_course.pytorch.training import predict_logits


class Prompted(Extended):
    """A network, frozen, behind a trained picture.

    Parameters
    ----------
    base
        Takes float images (N, 1, 28, 28) in [0, 1], returns logits (N, outputs). Frozen in place.
    border
        How many pixels from each side the prompt reaches inwards. MNIST's digits keep 4 pixels of their
        border free. 14 is the whole picture.
    labels
        For each class of the task, the output that stands for it. ``None`` means all outputs in order.

    Raises
    ------
    InputError
        A border that is not from 1 to 14, fewer than two labels, the same twice, or one that is no
        output; a network without a head, or one that is extended already.

    Notes
    -----
    What reaches the network is a picture, in [0, 1]. The gradient ignores the clipping: otherwise a
    pixel of the prompt that once falls below zero on a black border could never come back.

    Examples
    --------
    >>> from mnist_course.models import build
    >>> prompted = Prompted(build("lenet5"), border=4)
    >>> prompted.prompt.shape  # 28 · 28 - 20 · 20
    torch.Size([384])
    """

    where: torch.Tensor

    def __init__(self, base: nn.Module, *, border: int = 4, labels: Sequence[int] | None = None) -> None:
        require_plain(base)
        outputs = len(base.get_submodule(head(base)).get_parameter("weight"))
        require_whole("border", border, highest=DIGITS[1] // 2)
        labels = range(outputs) if labels is None else labels
        if len({*labels}) < max(len(labels), 2) or not {*labels} <= {*range(outputs)}:
            raise InputError(
                f"labels are {list(labels)}; expected at least two different outputs of the network,"
                f" 0 to {outputs - 1}, one per class of the task"
            )
        super().__init__(base)
        self.labels = [int(label) for label in labels]
        inside = torch.zeros(DIGITS, dtype=torch.bool)  # (1, 28, 28)
        inside[:, border:-border, border:-border] = True
        self.register_buffer("where", ~inside, persistent=False)
        self.prompt = nn.Parameter(torch.zeros(int((~inside).sum())))
        self.to(next(base.parameters()).device)
        self.register_forward_pre_hook(check_images)  # clipping would hide images of bytes

    def picture(self) -> torch.Tensor:
        """Return δ, (1, 28, 28): zero but for the border."""
        return torch.zeros_like(self.where, dtype=self.prompt.dtype).masked_scatter(
            self.where, self.prompt
        )

    def prompted(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the network sees of images (N, 1, 28, 28)."""
        moved = images + self.picture()
        return moved.detach().clamp(0, 1) + (moved - moved.detach())  # the second term is 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to logits (N, classes)."""
        return self.base(self.prompted(images))[:, self.labels]


def match_labels(model: nn.Module, dataset: ImageDataset) -> list[int]:
    """Choose for every class the output that the network gives it most, no output twice.

    Parameters
    ----------
    model
        Trained on another task, with at least as many outputs as `dataset` has classes.
    dataset
        Training data of the new task.

    Returns
    -------
    list of int
        Outputs for ``Prompted(model, labels=...)``: of all choices the one under which the network
        classifies most of `dataset` correctly, its other outputs being counted as wrong.

    Raises
    ------
    InputError
        More classes than outputs, or no images.
    """
    if not len(dataset):
        raise InputError("labels cannot be matched without images; pass training data of the new task")
    logits = predict_logits(model, dataset.images)
    counts = np.zeros((len(dataset.class_names), logits.shape[1]), int)
    if counts.shape[0] > counts.shape[1]:
        raise InputError(
            f"{counts.shape[0]} classes are more than the network's {counts.shape[1]} outputs;"
            " another method with a new head can learn them"
        )
    np.add.at(counts, (dataset.labels, logits.argmax(axis=1)), 1)
    _, outputs = linear_sum_assignment(counts, maximize=True)
    return [int(output) for output in outputs]
