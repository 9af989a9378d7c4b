"""Which sandbox works here, and the proof: attempts to break out of it, made in started kernels."""

import contextlib
import dataclasses
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox import view
from mnist_course.grading.sandbox.attempts import (
    CLINGING,
    EXHAUSTING,
    REACHING,
    TAKING,
    Allowance,
    Target,
)
from mnist_course.grading.sandbox.attempts.resources import LEFT_BEHIND
from mnist_course.grading.sandbox.choice import available, obstacle, reason
from mnist_course.grading.sandbox.enclosure import METHODS, Method
from mnist_course.grading.sandbox.trial import AttemptError, Ended, Trial

# Small enough to be exhausted in a second, large enough for a kernel.
LIMITS = Limits(
    memory=1 << 30, processes=64, cpu_seconds=3, file_bytes=8 << 20, disk_bytes=32 << 20, open_files=128
)
HIDDEN = ("mnist_course.scratch",)
_VARIABLE = "MNIST_COURSE_SECRET"
_VICTIM = """
import signal, time
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


@dataclass(frozen=True)
class Check:
    """One attempt: whether the sandbox `held`, and in `detail` what was reached or what stopped it."""

    method: str
    name: str
    held: bool
    detail: str


def report() -> Iterator[Check]:
    """Make every attempt in every sandbox that works here, yielding each result as it comes.

    Some 10 s for each sandbox. Nothing is left behind: no process, no file.
    """
    with things_to_reach() as target:
        for method in METHODS:
            if not obstacle(method):
                yield from examine(method, target)


def examine(method: Method, target: Target) -> Iterator[Check]:
    """Make every attempt in one sandbox."""
    yield from reach_and_take(method, target)
    for name in EXHAUSTING:
        yield exhaust(method, name)
    for name in CLINGING:
        yield cling(method, name)


def reach_and_take(method: Method, target: Target) -> Iterator[Check]:
    """Make the attempts that a kernel survives in a sandbox that holds."""
    yield from attempt(method, LIMITS, REACHING, f"REACHING[name](Target(**{_literal(target)}))")
    allowance = _literal(allowed(LIMITS))
    patient = dataclasses.replace(LIMITS, cpu_seconds=60)
    yield from attempt(method, patient, TAKING, f"TAKING[name](Allowance(**{allowance}))")


def attempt(method: Method, limits: Limits, names: Iterable[str], expression: str) -> Iterator[Check]:
    """Make attempts one after the other in one kernel, in a new one after each that ends it."""
    waiting = list(names)
    while waiting:
        with Trial(method, limits, hide=HIDDEN) as trial:
            while waiting:
                name = waiting.pop(0)
                try:
                    reached = trial.call(expression, setup=f"name = {name!r}")
                except Ended as end:
                    yield Check(method, name, str(end).startswith(name.split(":")[0]), str(end))
                    break
                except AttemptError as error:
                    yield Check(method, name, False, f"the attempt failed by itself: {error}")
                else:
                    yield Check(method, name, not reached, reached)


def exhaust(method: Method, name: str) -> Check:
    """Let a submission take something until it is ended; the limit has to end it."""
    _, expected = EXHAUSTING[name]
    with Trial(method, LIMITS, hide=HIDDEN) as trial:
        ended = trial.survive(f"EXHAUSTING[{name!r}][0](Allowance(**{_literal(allowed(LIMITS))}))")
    if ended is None:
        return Check(method, name, False, "nothing ended it")
    return Check(method, name, ended.startswith(expected), ended)


def cling(method: Method, name: str) -> Check:
    """Let a submission leave processes behind; none may be there when the sandbox has ended."""
    with Trial(method, LIMITS, hide=HIDDEN) as trial:
        trial.survive(f"CLINGING[{name!r}](Allowance(**{_literal(allowed(LIMITS))}))", seconds=2)
        user = trial.user
    left = processes_of(user) if user is not None else processes_named(LEFT_BEHIND)
    return Check(method, name, not left, f"{len(left)} processes left" if left else "none left")


def allowed(limits: Limits) -> Allowance:
    """Return the limits that attempts try to pass."""
    names = [field.name for field in dataclasses.fields(Allowance)]
    return Allowance(**{name: getattr(limits, name) for name in names})


@contextlib.contextmanager
def things_to_reach() -> Iterator[Target]:
    """Put a secret, a world-writable folder, a process and three listening sockets outside."""
    secret = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mnist-course-doctor-")))
        folder.chmod(0o777)
        (folder / "secret").write_text(secret)
        for name in ("changed", "truncated", "renamed", "deleted"):
            (folder / name).write_text("as it was")
        for path in folder.iterdir():
            path.chmod(0o666)
        os.environ[_VARIABLE] = secret
        stack.callback(os.environ.pop, _VARIABLE, None)
        victim = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _VICTIM, secret],
            env={_VARIABLE: secret},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        stack.callback(_end, victim)
        assert victim.stdout is not None
        victim.stdout.readline()
        abstract = f"mnist-course-{secret}"
        port = _listen(stack, socket.AF_INET, ("127.0.0.1", 0))
        _listen(stack, socket.AF_UNIX, str(folder / "socket"))
        (folder / "socket").chmod(0o777)
        _listen(stack, socket.AF_UNIX, "\0" + abstract)
        yield Target(
            secret=secret,
            secret_file=str(folder / "secret"),
            folder=str(folder),
            victim=victim.pid,
            grader=os.getpid(),
            port=port[1],
            socket=str(folder / "socket"),
            abstract=abstract,
            checkout=str(view.PACKAGE.parent),
            package=str(view.PACKAGE),
            prefix=sys.prefix,
            hidden=tuple(view.hidden_paths(HIDDEN)),
        )


def processes_named(name: str) -> list[int]:
    """Return the processes on this machine whose first argument is `name`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().split(b"\0")[0] == name.encode():
                found.append(int(path.parent.name))
    return found


def processes_of(user: int) -> list[int]:
    """Return the processes on this machine that belong to `user`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            lines = path.read_text().splitlines()
            if any(line.split()[1:2] == [str(user)] for line in lines if line.startswith("Uid:")):
                found.append(int(path.parent.name))
    return found


@click.command()
def command() -> None:
    """Try to break out of the sandbox that grades submissions, and say whether it held."""
    chosen = available()
    for method in METHODS:
        click.echo(f"{method}: {obstacle(method) or 'works here'}")
    if chosen is None:
        click.echo(f"No sandbox works here: {reason()}")
        raise SystemExit(1)
    broken = 0
    for check in report():
        mark = "held" if check.held else "BROKEN"
        click.echo(
            f"{mark:6}  {check.method:10}  {check.name}" + (f": {check.detail}" if check.detail else "")
        )
        broken += not check.held
    click.echo(
        f"grade uses {chosen}." if not broken else f"{broken} attempts got out: grade nothing here."
    )
    raise SystemExit(1 if broken else 0)


def _literal(fields: Any) -> str:
    return f"json.loads({json.dumps(dataclasses.asdict(fields))!r})"


def _listen(stack: contextlib.ExitStack, family: int, address: Any) -> Any:
    server = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    server.bind(address)
    server.listen()
    return server.getsockname()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
