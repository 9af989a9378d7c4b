"""Continual learning: one task after another, and what is left of the first at the end.

`tasks` makes the sequence and says which outputs may answer; `strategies` are what can be done against
forgetting; `learning` runs one through the other.
"""

from mnist_course.finetuning.continual.fisher import fisher_information
from mnist_course.finetuning.continual.learning import dense_network, forgetting, run
from mnist_course.finetuning.continual.strategies import (
    EWC,
    STRATEGIES,
    Distillation,
    Joint,
    Replay,
    Strategy,
    distillation_loss,
    ewc_penalty,
)
from mnist_course.finetuning.continual.tasks import (
    SCENARIOS,
    Outputs,
    Task,
    permuted_tasks,
    split_tasks,
)

__all__ = [
    "EWC",
    "SCENARIOS",
    "STRATEGIES",
    "Distillation",
    "Joint",
    "Outputs",
    "Replay",
    "Strategy",
    "Task",
    "dense_network",
    "distillation_loss",
    "ewc_penalty",
    "fisher_information",
    "forgetting",
    "permuted_tasks",
    "run",
    "split_tasks",
]
