r"""What can be done against forgetting: look at old data, hold old weights, or keep old answers.

Every strategy trains the same network with the same steps. It decides what a batch is drawn from and
what is added to its loss, and may remember something when a task is finished. Where a loss on the new
task meets one that stands for the old, they are weighted by the number t of tasks so far,
:math:`\frac{1}{t}` and :math:`1 - \frac{1}{t}`, as van de Ven, Tuytelaars and Tolias do.

References
----------
van de Ven, Tuytelaars and Tolias, Three types of incremental learning, 2022.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from mnist_course.errors import InputError
from mnist_course.finetuning.continual.fisher import fisher_information
from mnist_course.finetuning.continual.tasks import Outputs
from mnist_course.pytorch.loaders import to_tensor


class Examples(NamedTuple):
    """Images uint8 (N, 28, 28) with the unit that stands for their class, and their task, both (N,)."""

    images: NDArray[np.uint8]
    units: NDArray[np.int64]
    tasks: NDArray[np.int64]

    def at(self, indices: NDArray[np.int64]) -> "Examples":
        """Return these examples, in that order."""
        return Examples(self.images[indices], self.units[indices], self.tasks[indices])

    @classmethod
    def joined(cls, parts: "Sequence[Examples]") -> "Examples":
        """Return the examples of all parts, one after the other."""
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass
class Learner:
    """The network while it learns task number `newest`, counted from 0."""

    model: nn.Module
    outputs: Outputs
    rng: np.random.Generator
    batch_size: int
    newest: int = 0

    def images(self, examples: Examples) -> torch.Tensor:
        """Return what the network takes: float32 (N, 1, 28, 28)."""
        return to_tensor(examples.images).to(next(self.model.parameters()).device)

    def loss(self, examples: Examples, logits: torch.Tensor | None = None) -> torch.Tensor:
        """Return the mean cross-entropy over the units that may answer."""
        logits = self.model(self.images(examples)) if logits is None else logits
        units = torch.from_numpy(examples.units).to(logits.device)
        tasks = torch.from_numpy(examples.tasks).to(logits.device)
        active = self.outputs.active(tasks, self.newest)  # (N, units)
        return F.cross_entropy(logits.masked_fill(~active, -torch.inf), units)

    def mixed(self, new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        """Weight the loss on the new task by 1/t and the one that stands for the others by 1 − 1/t."""
        share = 1 / (self.newest + 1)
        return share * new + (1 - share) * old


class Strategy:
    """Nothing is done: the network trains on one task after the other (fine-tuning)."""

    def data(self, tasks: Sequence[Examples]) -> Examples:
        """Return what the next batches are drawn from, of the tasks so far, the newest last."""
        return tasks[-1]

    def loss(self, learner: Learner, batch: Examples) -> torch.Tensor:
        """Return what a step descends on."""
        return learner.loss(batch)

    def finished(self, learner: Learner, examples: Examples) -> None:
        """Remember what is needed of the task that has just been learned."""


class Joint(Strategy):
    """All tasks so far are trained on together: no continual learning, but what it is held against."""

    def data(self, tasks: Sequence[Examples]) -> Examples:
        """Return all tasks so far."""
        return Examples.joined(tasks)


@dataclass
class EWC(Strategy):
    r"""Elastic weight consolidation: what mattered to an old task is held by a spring.

    .. math:: L(\theta) = L_t(\theta) + \frac{\lambda}{2} \sum_{s<t} \sum_i
              F_{s,i} \, (\theta_i - \theta^*_{s,i})^2

    with the weights :math:`\theta^*_s` after task s and their Fisher information :math:`F_s` on it.

    Parameters
    ----------
    strength
        :math:`\lambda`.
    examples
        Images of each task that the Fisher information is taken on.

    References
    ----------
    Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, 2017.
    """

    strength: float = 1e5
    examples: int = 1000
    memories: list[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.strength >= 0 or self.examples < 1:
            raise InputError(
                f"EWC has strength {self.strength} on {self.examples} examples;"
                " expected a strength that is not negative and at least one example"
            )

    def loss(self, learner: Learner, batch: Examples) -> torch.Tensor:
        """Add the springs to the loss on the new task."""
        loss = learner.loss(batch)
        for importance, anchor in self.memories:
            loss = loss + self.strength * ewc_penalty(learner.model, importance, anchor)
        return loss

    def finished(self, learner: Learner, examples: Examples) -> None:
        """Remember the weights and how much each matters."""
        chosen = learner.rng.permutation(len(examples.units))[: self.examples]
        task = torch.tensor([learner.newest])
        units = learner.outputs.active(task, learner.newest)[0].nonzero()[:, 0]
        images = learner.images(examples.at(chosen))
        importance = fisher_information(learner.model, images, units.to(images.device))
        anchor = {name: value.detach().clone() for name, value in learner.model.named_parameters()}
        self.memories.append((importance, anchor))


def ewc_penalty(
    model: nn.Module, importance: Mapping[str, torch.Tensor], anchor: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    r"""Return :math:`\frac{1}{2} \sum_i F_i (\theta_i - \theta^*_i)^2`, one task's springs.

    Parameters
    ----------
    model
        Its parameters are :math:`\theta`; gradients flow to them.
    importance, anchor
        Parameter name → :math:`F` and :math:`\theta^*`, of the parameter's shape.
    """
    terms = [
        (importance[name] * (value - anchor[name]) ** 2).sum()
        for name, value in model.named_parameters()
        if name in importance
    ]
    return torch.stack(terms).sum() / 2


@dataclass
class Replay(Strategy):
    """A few stored examples of every old class are trained on beside the new task.

    To each batch of the new task comes one of the same size from the store.

    Parameters
    ----------
    per_class
        Examples that are stored of each class of a task when it is finished, chosen at random.

    References
    ----------
    Rolnick, Ahuja, Schwarz, Lillicrap and Wayne, Experience replay for continual learning, 2019.
    """

    per_class: int = 100
    stored: Examples | None = None

    def __post_init__(self) -> None:
        if self.per_class < 1:
            raise InputError(f"per_class is {self.per_class}; expected at least 1 example to store")

    def loss(self, learner: Learner, batch: Examples) -> torch.Tensor:
        """Weight the new task's batch with one from the store."""
        if self.stored is None:
            return learner.loss(batch)
        chosen = learner.rng.integers(0, len(self.stored.units), learner.batch_size)
        old = self.stored.at(chosen)
        return learner.mixed(learner.loss(batch), learner.loss(old))

    def finished(self, learner: Learner, examples: Examples) -> None:
        """Store some of the task's examples."""
        chosen = [
            learner.rng.permutation(np.flatnonzero(examples.units == unit))[: self.per_class]
            for unit in np.unique(examples.units)
        ]
        new = examples.at(np.concatenate(chosen))
        self.stored = new if self.stored is None else Examples.joined([self.stored, new])


@dataclass
class Distillation(Strategy):
    """Learning without forgetting: on the new images the old units answer as they did before.

    The network as it was before the task is the teacher. In the task scenario every old head is held,
    each with the same weight; in the class scenario the new classes have probability 0 in its answers.

    Parameters
    ----------
    temperature
        Softens both distributions: see `distillation_loss`. Hinton, Vinyals and Dean recommend more
        than 1; Li and Hoiem take 2.

    References
    ----------
    Li and Hoiem, Learning without forgetting, 2018.
    """

    temperature: float = 2.0
    teacher: nn.Module | None = None

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise InputError(f"the temperature is {self.temperature}; expected a positive number")

    def loss(self, learner: Learner, batch: Examples) -> torch.Tensor:
        """Weight the cross-entropy on the new task with the distance from the old answers."""
        images = learner.images(batch)
        logits = learner.model(images)
        new = learner.loss(batch, logits)
        if self.teacher is None:
            return new
        with torch.no_grad():
            before = self.teacher(images)
        each_head = range(learner.newest) if learner.outputs.scenario == "task" else [0]
        old = [self._held(learner, logits, before, torch.tensor([task])) for task in each_head]
        return learner.mixed(new, torch.stack(old).mean())

    def _held(
        self, learner: Learner, logits: torch.Tensor, before: torch.Tensor, task: torch.Tensor
    ) -> torch.Tensor:
        now = learner.outputs.active(task, learner.newest)[0].to(logits.device)
        then = learner.outputs.active(task, learner.newest - 1)[0].to(logits.device)
        answers = before.masked_fill(~then, -torch.inf)[:, now]
        return distillation_loss(logits[:, now], answers, self.temperature)

    def finished(self, learner: Learner, examples: Examples) -> None:
        """Keep the network as the next task's teacher."""
        self.teacher = copy.deepcopy(learner.model).eval().requires_grad_(False)


def distillation_loss(
    logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float
) -> torch.Tensor:
    r"""Return the mean cross-entropy between the teacher's and the network's softened answers.

    .. math:: -\frac{1}{N} \sum_n \sum_k q_{nk} \log p_{nk}, \qquad
              q_n = \mathrm{softmax}(t_n / T), \quad p_n = \mathrm{softmax}(z_n / T)

    Parameters
    ----------
    logits, teacher_logits
        z and t, shape (N, K); t is :math:`-\infty` for a class that the teacher does not know.
    temperature
        T; larger ones make distributions flatter.

    References
    ----------
    Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015.
    """
    targets = (teacher_logits / temperature).softmax(dim=1)
    return -(targets * (logits / temperature).log_softmax(dim=1)).sum(dim=1).mean()


STRATEGIES: Mapping[str, type[Strategy]] = {
    "none": Strategy,
    "joint": Joint,
    "ewc": EWC,
    "replay": Replay,
    "lwf": Distillation,
}
"""Name → strategy."""
