"""Learning tasks one after another."""

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mnist_course.errors import InputError
from mnist_course.finetuning.continual.strategies import STRATEGIES, Examples, Learner, Strategy
from mnist_course.finetuning.continual.tasks import Outputs, Task
from mnist_course.pytorch.training import predict_logits


def dense_network(outputs: int, *, hidden: Sequence[int] = (400, 400), seed: int = 0) -> nn.Sequential:
    """Build a network of dense layers with ReLU between them, from images (N, 1, 28, 28) to logits.

    Two layers of 400 are what van de Ven and Tolias use on split MNIST. As theirs, the weights are drawn
    the way PyTorch's layers do it by themselves; its global random state is left as it was.
    """
    sizes = [28 * 28, *hidden]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts: list[nn.Module] = [nn.Flatten()]
        for before, after in itertools.pairwise(sizes):
            parts += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*parts, nn.Linear(sizes[-1], outputs))


def run(
    tasks: Sequence[Task],
    strategy: str | Strategy,
    scenario: str,
    *,
    model: nn.Module | None = None,
    seed: int = 0,
    iterations: int = 2000,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    progress: bool = True,
) -> NDArray[np.float64]:
    """Learn the tasks in their order; after each, test on all so far.

    The defaults are the protocol of van de Ven and Tolias on split MNIST. One Adam trains on through
    all tasks. Batches go through a task's examples in shuffled order, again and again.

    Parameters
    ----------
    tasks
        All with the same number of classes.
    strategy
        A name from `STRATEGIES`, or a strategy with settings of its own, which stays as it is.
    scenario
        ``"task"``, ``"domain"`` or ``"class"``: see `Outputs`.
    model
        A network with as many logits as there are units; trained in place. A new `dense_network` by
        default.
    seed
        Fixes the order of the examples, what is stored, and the default network's weights.
    iterations
        Batches per task.
    batch_size
        Examples of the new task in a batch.
    learning_rate
        Adam's.
    progress
        Show a bar on stderr.

    Returns
    -------
    ndarray
        Shape (T, T): row t holds the test accuracies after task t; NaN for tasks that are still to come.

    Raises
    ------
    InputError
        No tasks, tasks of different sizes, an unknown strategy or scenario, settings below 1, or a model
        with another number of logits.
    """
    outputs, strategy = _checked(tasks, strategy, scenario, iterations, batch_size, learning_rate)
    model = dense_network(outputs.count, seed=seed) if model is None else model
    logits = predict_logits(model, tasks[0].test.images[:1]).shape[1]
    if logits != outputs.count:
        raise InputError(
            f"the model has {logits} logits; {outputs.tasks} tasks of {outputs.classes} classes need"
            f" {outputs.count} in the scenario {scenario!r}"
        )
    learner = Learner(model, outputs, np.random.default_rng(seed), batch_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    examples = [_examples(task, number, outputs) for number, task in enumerate(tasks)]
    accuracies = np.full((len(tasks), len(tasks)), np.nan)
    with _bar(progress, len(tasks) * iterations) as bar:
        for newest in range(len(tasks)):
            learner.newest = newest
            data = strategy.data(examples[: newest + 1])
            model.train()
            for batch in _batches(len(data.units), batch_size, iterations, learner.rng):
                loss = strategy.loss(learner, data.at(batch))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                bar.update()
            strategy.finished(learner, examples[newest])
            for old in range(newest + 1):
                accuracies[newest, old] = _accuracy(learner, tasks[old], old)
    return accuracies


def forgetting(accuracies: NDArray[np.float64]) -> float:
    r"""Return how far the old tasks fell from their best, on average.

    .. math:: \frac{1}{T-1} \sum_{i<T} \left( \max_{t<T} a_{t,i} - a_{T,i} \right)

    Parameters
    ----------
    accuracies
        Shape (T, T) with T > 1, from `run`.

    References
    ----------
    Chaudhry, Dokania, Ajanthan and Torr, Riemannian walk for incremental learning, 2018.
    """
    best = np.nanmax(accuracies[:-1, :-1], axis=0)
    return float((best - accuracies[-1, :-1]).mean())


def _checked(
    tasks: Sequence[Task],
    strategy: str | Strategy,
    scenario: str,
    iterations: int,
    batch_size: int,
    learning_rate: float,
) -> tuple[Outputs, Strategy]:
    if isinstance(strategy, str):
        if strategy not in STRATEGIES:
            raise InputError(f"unknown strategy {strategy!r}; choose one of {', '.join(STRATEGIES)}")
        strategy = STRATEGIES[strategy]()
    sizes = sorted({len(task.train.class_names) for task in tasks})
    if len(sizes) != 1:
        raise InputError(f"the tasks have {sizes} classes; expected tasks of one size, at least one")
    for name, value in (("iterations", iterations), ("batch_size", batch_size)):
        if value < 1:
            raise InputError(f"{name} is {value}; expected at least 1")
    if not learning_rate > 0:
        raise InputError(f"learning_rate is {learning_rate}; expected a positive number, such as 0.001")
    return Outputs(scenario, len(tasks), sizes[0]), copy.deepcopy(strategy)


def _examples(task: Task, number: int, outputs: Outputs) -> Examples:
    units = outputs.units(task.train.labels, number)
    return Examples(task.train.images, units, np.full(len(units), number))


def _batches(
    count: int, batch_size: int, iterations: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return indices, shape (iterations, batch_size): one shuffled epoch after the other."""
    wanted = iterations * batch_size
    epochs = [rng.permutation(count) for _ in range(-(-wanted // count))]
    return np.concatenate(epochs)[:wanted].reshape(iterations, batch_size)


def _accuracy(learner: Learner, task: Task, number: int) -> float:
    logits = predict_logits(learner.model, task.test.images)
    active = learner.outputs.active(torch.tensor([number]), learner.newest).numpy()
    answers = np.where(active, logits, -np.inf).argmax(axis=1)
    return float((answers == learner.outputs.units(task.test.labels, number)).mean())


def _bar(progress: bool, total: int) -> Any:
    from tqdm import tqdm

    quiet = {} if progress else {"disable": True}  # passing False would override TQDM_DISABLE
    return tqdm(total=total, unit="step", mininterval=0.5, **quiet)
