"""What an attempt tries to reach: things outside that a sandbox must keep from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """Where the things outside are; the sandboxed side gets this as JSON.

    ``secret`` stands in a world-readable file, in an environment variable of the grader, and in the
    command line and the environment of ``victim``, a process that ignores SIGUSR1; ``folder`` is
    world-writable and holds files to change; ``port``, ``socket`` and ``abstract`` name listening
    sockets. The sandbox shows ``prefix`` (the environment) and ``package``, but not the ``checkout``
    around it, nor what is ``hidden``.
    """

    secret: str
    secret_file: str
    folder: str
    victim: int
    grader: int
    port: int
    socket: str
    abstract: str
    checkout: str
    package: str
    prefix: str
    hidden: tuple[str, ...]


# An attempt returns what it reached, "" when it was stopped. It catches what stops it and nothing else.
Attempt = Callable[[Target], str]


def what_worked(actions: Mapping[str, Callable[[], object]]) -> str:
    """Try every action and return the names of those that no OSError stopped."""
    done = []
    for name, action in actions.items():
        try:
            action()
        except OSError:
            continue
        done.append(name)
    return ", ".join(done)
