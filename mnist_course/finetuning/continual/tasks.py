"""Sequences of tasks, and the three scenarios: which of the network's outputs may answer.

References
----------
van de Ven and Tolias, Three scenarios for continual learning, 2019, arXiv:1904.07734.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mnist_course.data import ImageDataset
from mnist_course.errors import InputError

SCENARIOS = ("task", "domain", "class")
"""Is the task known when the network is asked? Known; not known and not asked for; to be inferred."""


@dataclass(frozen=True)
class Task:
    """What is learned in one go, and what it is tested on.

    Parameters
    ----------
    train, test
        The same classes; labels count from 0 within the task.

    Raises
    ------
    InputError
        The classes differ, or a part is empty.
    """

    train: ImageDataset
    test: ImageDataset

    def __post_init__(self) -> None:
        if self.train.class_names != self.test.class_names:
            raise InputError(
                f"the task trains on the classes {', '.join(self.train.class_names)} and is tested on"
                f" {', '.join(self.test.class_names)}; expected the same"
            )
        if not len(self.train) or not len(self.test):
            raise InputError("a task has no training or no test images; expected at least one of each")


def split_tasks(
    train: ImageDataset, test: ImageDataset, *, count: int = 5, seed: int | None = None
) -> list[Task]:
    """Deal the classes out to tasks of equally many: split MNIST is 0 or 1, then 2 or 3, ….

    Parameters
    ----------
    train, test
        The same classes.
    count
        Number of tasks; it divides the number of classes.
    seed
        Shuffles the classes first. ``None`` leaves them in their order.

    Raises
    ------
    InputError
        The classes cannot be dealt out.
    """
    names = train.class_names
    if count < 1 or len(names) % count or len(names) == count:
        raise InputError(
            f"{len(names)} classes cannot make {count} tasks of equally many, two or more each"
        )
    order = np.arange(len(names))
    if seed is not None:
        order = np.random.default_rng(seed).permutation(order)
    return [Task(_only(train, part), _only(test, part)) for part in np.split(order, count)]


def _only(dataset: ImageDataset, classes: NDArray[np.int64]) -> ImageDataset:
    """Return the images of these classes, which are numbered anew in this order."""
    part = dataset.subset(np.isin(dataset.labels, classes))
    renumbered = np.zeros(len(dataset.class_names), np.uint8)
    renumbered[classes] = np.arange(len(classes))
    return ImageDataset(
        part.images, renumbered[part.labels], tuple(dataset.class_names[label] for label in classes)
    )


def permuted_tasks(
    train: ImageDataset, test: ImageDataset, *, count: int = 10, seed: int = 0
) -> list[Task]:
    """Make tasks of all classes, each with its own fixed reordering of the pixels.

    To a dense network all of them are equally hard, and none looks like another.

    Raises
    ------
    InputError
        Fewer than one task.

    References
    ----------
    Goodfellow, Mirza, Xiao, Courville and Bengio, An empirical investigation of catastrophic
    forgetting in gradient-based neural networks, 2013.
    """
    if count < 1:
        raise InputError(f"count is {count}; expected at least one task")
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(28 * 28) for _ in range(count)]
    return [Task(_reordered(train, order), _reordered(test, order)) for order in orders]


def _reordered(dataset: ImageDataset, order: NDArray[np.int64]) -> ImageDataset:
    pixels = dataset.images.reshape(len(dataset), -1)[:, order]
    return ImageDataset(pixels.reshape(-1, 28, 28), dataset.labels, dataset.class_names)


@dataclass(frozen=True)
class Outputs:
    """The network's output units, and which of them may answer.

    In the task and the class scenario every class of every task has a unit of its own; in the domain
    scenario the tasks share the units. Only units that are active take part in the softmax, in training
    and in testing:

    * task: those of the example's task (a head per task);
    * domain: all;
    * class: those of all tasks that have begun.

    Parameters
    ----------
    scenario
        One of `SCENARIOS`.
    tasks
        Number of tasks, T.
    classes
        Number of classes in each, K.

    Raises
    ------
    InputError
        An unknown scenario.

    Examples
    --------
    >>> outputs = Outputs("class", tasks=3, classes=2)
    >>> outputs.active(torch.tensor([0]), newest=1)
    tensor([[ True,  True,  True,  True, False, False]])
    """

    scenario: str
    tasks: int
    classes: int

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise InputError(f"unknown scenario {self.scenario!r}; choose one of {', '.join(SCENARIOS)}")

    @property
    def count(self) -> int:
        """Number of units: K when the tasks share them, otherwise T · K."""
        return self.classes if self.scenario == "domain" else self.tasks * self.classes

    def units(self, labels: NDArray[np.uint8], task: int) -> NDArray[np.int64]:
        """Return the units that stand for a task's labels: both of shape (N,)."""
        first = 0 if self.scenario == "domain" else task * self.classes
        return labels.astype(np.int64) + first

    def active(self, tasks: torch.Tensor, newest: int) -> torch.Tensor:
        """Return which units may answer: bool, shape (N, units).

        Parameters
        ----------
        tasks
            The task that each example belongs to, integers of shape (N,), from 0.
        newest
            The task that is being learned or was learned last.
        """
        owner = torch.arange(self.count, device=tasks.device) // self.classes  # (units,)
        if self.scenario == "task":
            return owner == tasks[:, None]
        last = 0 if self.scenario == "domain" else newest
        return (owner <= last).expand(len(tasks), -1)
