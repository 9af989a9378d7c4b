"""Running cells in a kernel that may be an enemy, and collecting what they publish.

The kernel is another process; where there is a sandbox, one that sees nothing of this machine. What
comes back is bytes: counted, limited in size before they are parsed, and parsed as JSON. The clock, the
counters and the watch on the kernel's death are on this side.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session
from numpy.typing import NDArray

from mnist_course.grading.inputs import PUBLIC_SEED
from mnist_course.grading.limits import Limits
from mnist_course.grading.opening import opening_source
from mnist_course.grading.values import MIME

PUBLIC_ENVIRONMENT = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "MPLBACKEND": "agg",
    "TQDM_DISABLE": "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
"""All that a graded kernel knows of this process' environment: the same for solution and submission."""

RECEIVE_QUEUE = 64
"""Messages that ZeroMQ holds while this process is busy; this, too, bounds memory."""

MEMORY_GROWTH = 768 * 2**20
"""Bytes that this process may grow by while it listens to one kernel. A message in endlessly many parts
is kept whole before anybody here can count it."""

PATIENCE = 0.2
"""Seconds between two looks at the clock and at the kernel's process."""

GRACE = 1.0
"""Seconds that a cell's last broadcasts may take after its reply."""


class KernelNeverStarted(RuntimeError):
    """The kernel did not answer before any of a student's code ran: not the student's fault."""


@dataclass
class CellRun:
    """What one cell sent.

    Parameters
    ----------
    bundles
        The JSON published under the probes' output type, undecoded and untrusted.
    error
        Name and text of the exception that ended the cell, untrusted.
    finished
        Whether the kernel said that the cell is done.
    """

    bundles: list[dict[str, Any]] = field(default_factory=list)
    error: tuple[str, str] | None = None
    finished: bool = False


@dataclass(frozen=True)
class Run:
    """What a kernel made of the cells.

    Parameters
    ----------
    cells
        One per cell that was started, in order.
    ended
        ``"finished"``, ``"deadline"``, ``"died"`` (the kernel's process ended) or ``"flood"`` (it sent
        more than the limits allow).
    seconds
        From the first cell's start to the end.
    why
        What the sandbox knows about the kernel's death; may be empty.
    processor_seconds
        Processor time of the kernel and its children, where the run ended at the deadline.
    """

    cells: tuple[CellRun, ...]
    ended: str
    seconds: float
    why: str = ""
    processor_seconds: float | None = None


def run_cells(
    sources: Sequence[str],
    *,
    sandbox: str | None,
    limits: Limits,
    hide: Sequence[str] = (),
    seed: int = PUBLIC_SEED,
    unseen: NDArray[np.uint8] | None = None,
) -> Run:
    """Run `sources` one after the other in a fresh kernel; an exception does not stop the next cell.

    Parameters
    ----------
    sources
        The cells' texts.
    sandbox
        What to put around the kernel: a name from `sandbox.available`, or None for nothing.
    limits
        What the run may use.
    hide
        Modules of this package that the sandbox must not contain.
    seed
        Seed of the run; `exercise_rng` in the kernel follows from it.
    unseen
        What `unseen()` returns there.

    Raises
    ------
    KernelNeverStarted
        When the kernel did not start, or did not take the seed.
    """
    with _kernel(sandbox, limits, tuple(hide)) as manager:
        line = _Line(manager, limits)
        try:
            line.greet()
            line.open(opening_source(seed_inside(seed), unseen))
            start = time.monotonic()
            cells: list[CellRun] = []
            ended = "finished"
            for source in sources:
                cell = CellRun()
                cells.append(cell)
                try:
                    line.execute(source, start + limits.seconds, cell)
                except _Ended as end:
                    ended = end.why
                    break
            seconds = time.monotonic() - start
            why = _reason(manager) if ended == "died" else ""
            used = _processor_seconds(manager) if ended == "deadline" else None
            return Run(tuple(cells), ended, seconds, why, used)
        finally:
            line.close()


class _Ended(Exception):
    """The kernel's run is over before its cells are."""

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why


class _OneSpec(KernelSpecManager):
    """Knows one kernel, whatever is installed on this machine or named in a notebook."""

    spec: KernelSpec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self.spec


@contextlib.contextmanager
def _kernel(sandbox: str | None, limits: Limits, hide: tuple[str, ...]) -> Iterator[KernelManager]:
    """Start a kernel; whatever happens, leave neither its process nor its files behind."""
    folder = Path(tempfile.mkdtemp(prefix="exercise-"))
    manager = KernelManager(kernel_name="exercise", context=zmq.Context())
    specs = _OneSpec()
    specs.spec = _spec(sandbox, limits, hide)
    manager.kernel_spec_manager = specs
    home = folder / "home"
    home.mkdir()
    environment = {**PUBLIC_ENVIRONMENT, "HOME": str(home), "IPYTHONDIR": str(home / "ipython")}
    if sandbox is None and os.name == "posix":  # no ports to run out of, nobody else can connect
        manager.transport, manager.ip = "ipc", str(folder / "k")
        manager.connection_file = str(folder / "k.json")
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    try:
        try:
            manager.start_kernel(env=environment, cwd=str(home), **quiet)
        except Exception as error:
            raise KernelNeverStarted(f"{type(error).__name__}: {error}") from error
        yield manager
    finally:
        with contextlib.suppress(Exception):
            manager.shutdown_kernel(now=True)
        manager.context.destroy(linger=0)
        shutil.rmtree(folder, ignore_errors=True)


def _spec(sandbox: str | None, limits: Limits, hide: tuple[str, ...]) -> KernelSpec:
    if sandbox is not None:
        from mnist_course.grading.sandbox import Method, kernel_spec

        return kernel_spec(cast(Method, sandbox), limits=limits, hide=hide)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    argv += ["--HistoryManager.enabled=False", "--log-level=50"]
    return KernelSpec(argv=argv, language="python", display_name="exercise", interrupt_mode="message")


def _processor_seconds(manager: KernelManager) -> float | None:
    """Return the processor time of the kernel's processes; None where it cannot be known."""
    pid = getattr(manager.provisioner, "pid", None)
    total = 0.0
    try:
        kernel = psutil.Process(pid)
        for process in (kernel, *kernel.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    except (psutil.Error, TypeError, ValueError, AttributeError):
        return None
    return total


def _reason(manager: KernelManager) -> str:
    """Return what the sandbox says about the kernel's end; nothing where there is none."""
    return str(getattr(manager.provisioner, "reason", "") or "")


class _Line:
    """The wires to one kernel: what is sent, what is received, and how much of it."""

    def __init__(self, manager: KernelManager, limits: Limits):
        self.manager = manager
        self.limits = limits
        self.session: Session = manager.session
        self.shell = self._socket(zmq.DEALER, "shell")
        self.iopub = self._socket(zmq.SUB, "iopub")
        self.iopub.setsockopt(zmq.SUBSCRIBE, b"")
        self.poller = zmq.Poller()
        self.poller.register(self.shell, zmq.POLLIN)
        self.poller.register(self.iopub, zmq.POLLIN)
        self.next_look = 0.0
        self.reset()

    def reset(self) -> None:
        """Forget what was counted so far."""
        self.messages = self.received = 0
        self.resident = _resident_bytes()

    def _socket(self, kind: int, channel: str) -> Any:
        socket = self.manager.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, self.limits.message_bytes)
        socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE)
        if kind == zmq.DEALER:
            socket.setsockopt(zmq.IDENTITY, self.session.bsession)
        socket.connect(self.manager._make_url(channel))
        return socket

    def close(self) -> None:
        """Drop both wires, with everything that is still on its way."""
        self.shell.close(linger=0)
        self.iopub.close(linger=0)

    def greet(self) -> None:
        """Wait until the kernel answers and its broadcasts arrive."""
        deadline = time.monotonic() + self.limits.start_seconds
        heard = answered = False
        self.session.send(self.shell, "kernel_info_request", {})
        try:
            for event in self._events(deadline):
                if event is None:  # what it broadcast before this process listened is lost: ask again
                    self.session.send(self.shell, "kernel_info_request", {})
                    continue
                heard |= event[0] is self.iopub
                answered |= event[0] is self.shell
                if heard and answered:
                    return
        except _Ended as end:
            why = {"died": "its process ended", "deadline": "it did not answer"}.get(end.why, end.why)
            raise KernelNeverStarted(f"{why} {_reason(self.manager)}".rstrip()) from None

    def open(self, source: str) -> None:
        """Run a cell of ours before any of the student's; it must succeed."""
        opening = CellRun()
        try:
            self.execute(source, time.monotonic() + self.limits.start_seconds, opening)
        except _Ended as end:
            raise KernelNeverStarted(
                f"it did not take the seed: {end} {_reason(self.manager)}"
            ) from None
        if opening.error is not None:
            raise KernelNeverStarted(f"it did not take the seed: {': '.join(opening.error)}")
        self.reset()

    def execute(self, source: str, deadline: float, cell: CellRun) -> None:
        """Run one cell and fill in what it sends until it is done; raises `_Ended` when it never is."""
        request = self._request(source)
        replied_at = float("inf")
        idle = False
        for event in self._events(deadline):
            if event is not None:
                socket, message = event
                if _parent(message) == request:
                    if socket is self.shell:
                        replied_at = min(replied_at, time.monotonic())
                    idle |= _is_idle(message)
                    _note(message, cell)
            # the last broadcasts may come after the reply; those that were dropped never do
            if replied_at < float("inf") and (idle or time.monotonic() > replied_at + GRACE):
                break
        cell.finished = True

    def _request(self, source: str) -> str:
        content = {
            "code": source,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        message = self.session.send(self.shell, "execute_request", content)
        assert message is not None
        return str(message["header"]["msg_id"])

    def _events(self, deadline: float) -> Iterator[tuple[Any, dict[str, Any]] | None]:
        """Yield messages with the socket they came on, and None whenever none came for a while."""
        while True:
            self._look(deadline)
            ready = dict(self.poller.poll(int(PATIENCE * 1000)))
            for socket in (self.iopub, self.shell):
                if socket in ready and (message := self._read(socket)) is not None:
                    yield socket, message
            if not ready:
                yield None

    def _look(self, deadline: float) -> None:
        """Every now and then: stop when time is up, the kernel is dead or this process grows."""
        now = time.monotonic()
        if now < self.next_look:
            return
        self.next_look = now + PATIENCE
        if now > deadline:
            raise _Ended("deadline")
        if _resident_bytes() - self.resident > MEMORY_GROWTH:
            raise _Ended("flood")
        if not self.manager.is_alive() and not self.poller.poll(0):
            raise _Ended("died")

    def _read(self, socket: Any) -> dict[str, Any] | None:
        """Read one message; None when it is not of this kernel's session or not a message at all."""
        try:
            frames = socket.recv_multipart(zmq.NOBLOCK)
        except zmq.ZMQError:
            return None
        self.messages += 1
        self.received += sum(map(len, frames))
        if self.messages > self.limits.messages or self.received > self.limits.output_bytes:
            raise _Ended("flood")
        try:
            _, parts = self.session.feed_identities(frames)
            message: dict[str, Any] = self.session.deserialize(parts)
        except Exception:  # forged: wrong signature, broken or deeply nested JSON, missing parts
            return None
        if type(message.get("content")) is not dict or type(message.get("msg_type")) is not str:
            return None
        return message


def _parent(message: dict[str, Any]) -> object:
    parent = message.get("parent_header")
    return parent.get("msg_id") if isinstance(parent, dict) else None


def _is_idle(message: dict[str, Any]) -> bool:
    kind, content = message["msg_type"], message["content"]
    return bool(kind == "status" and content.get("execution_state") == "idle")


def _note(message: dict[str, Any], cell: CellRun) -> None:
    """Keep what a message says about its cell: published values, and the first exception."""
    kind, content = message["msg_type"], message["content"]
    if kind in ("display_data", "execute_result"):
        data = content.get("data")
        bundle = data.get(MIME) if isinstance(data, dict) else None
        if isinstance(bundle, dict):
            cell.bundles.append(bundle)
    elif kind == "error" or (kind == "execute_reply" and content.get("status") == "error"):
        name, text = str(content.get("ename", ""))[:100], str(content.get("evalue", ""))[:1000]
        cell.error = cell.error or (name, text)


def _resident_bytes() -> int:
    """Return this process' memory, or 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
