"""The processes that torchrun starts: how they join into a group, and how none outlives the others.

A process that waits for one that died would wait for minutes, and torchrun's own message is a long one
in which the cause is hard to find. So whatever ends the group ends each of its processes at once, and
the first of them says in one line what happened and what to type.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import torch
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from mnist_course.errors import InputError
from mnist_course.pytorch import devices

NEEDED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells a process that it starts."""

LOST = ("Connection closed", "Connection reset", "Broken pipe", "Timed out", "timed out", "Timeout")
"""What gloo and NCCL say when another process is gone or silent."""


@dataclass(frozen=True)
class Group:
    """The processes of a run, as one of them sees it.

    Parameters
    ----------
    rank, world
        The number of this process, from 0, and of all.
    device
        Where this one computes: the CPU, or a GPU of its own.
    store
        What the processes share while they run, held by torchrun.
    advice
        What to do when the run ends early.
    """

    rank: int
    world: int
    device: torch.device
    store: Any
    advice: str

    def end(self, why: str, status: int) -> NoReturn:
        """End this process now, whatever its threads wait for; the first one of the group says why."""
        if self._is_first():
            print(f"mnist_course.pytorch.distributed: {why}", file=sys.stderr, flush=True)
        os._exit(status)

    def _is_first(self) -> bool:
        try:
            return self.store.add("ended", 1) == 1
        except RuntimeError:  # torchrun is gone, and the store with it
            return True


@contextmanager
def joined(device: str = "auto", *, advice: str, silence: float = 120.0) -> Iterator[Group]:
    """Join the group that torchrun started this process for, and leave it at the end.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where every process can have a GPU.
    advice
        One sentence for the user of a run that ends because a process died, or on Ctrl-C.
    silence
        Seconds after which a process that does not answer counts as dead.

    Raises
    ------
    InputError
        Not started by torchrun, or fewer GPUs than processes.
    """
    if missing := [name for name in NEEDED if name not in os.environ]:
        raise InputError(
            f"{', '.join(missing)} not set; start it with torchrun --nproc-per-node=2 -m"
            " mnist_course.pytorch.distributed …, or train in one process with mnist-course train"
        )
    chosen = _own_device(device)
    store, rank, world = next(rendezvous("env://", timeout=timedelta(seconds=silence)))
    group = Group(rank, world, chosen, store, advice)
    _end_with_the_others(group)
    cuda = chosen.type == "cuda"
    try:
        dist.init_process_group(
            "nccl" if cuda else "gloo",
            store=store,
            rank=rank,
            world_size=world,
            timeout=timedelta(seconds=silence),
            device_id=chosen if cuda else None,
        )
        yield group
    except (InputError, OSError) as error:
        group.end(" ".join(str(error).split()), 2)
    except RuntimeError as error:
        if not any(phrase in str(error) for phrase in LOST):
            raise
        group.end(f"another process died or is silent; {advice}", 1)
    dist.destroy_process_group()


def _own_device(name: str) -> torch.device:
    """Return the device of this process among those on this machine."""
    processes, mine = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["LOCAL_RANK"])
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device is {name!r}; expected auto, cpu or cuda, one GPU for each process")
    gpus = 0 if name == "cpu" else torch.cuda.device_count()
    if name == "cuda":
        devices.choose(name)
        if gpus < processes:
            raise InputError(
                f"{processes} processes and {gpus} GPUs; use --nproc-per-node={gpus} or --device cpu"
            )
    if gpus < processes:
        return torch.device("cpu")
    torch.cuda.set_device(mine)
    return torch.device("cuda", mine)


def _end_with_the_others(group: Group) -> None:
    """End this process on Ctrl-C, when torchrun ends it because of another one, or when torchrun dies.

    A thread does it, because the main thread cannot act on signals while it waits within gloo or CUDA.
    """
    torchrun = os.getppid()
    arriving, sending = os.pipe()
    os.set_blocking(sending, False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(sending)  # their numbers are written there, whatever runs

    def watch() -> None:
        while True:
            if select.select([arriving], [], [], 1)[0]:
                if os.read(arriving, 1)[0] == signal.SIGINT:
                    group.end(f"interrupted; {group.advice}", 130)
                group.end(f"torchrun ended this run; {group.advice}", 1)
            if os.getppid() != torchrun:
                group.end(f"torchrun died; {group.advice}", 1)

    threading.Thread(target=watch, daemon=True).start()
