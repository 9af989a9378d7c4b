"""The wires to one kernel: what is sent, what is received, and how much of it.

What comes back is bytes from a possible enemy: counted, limited in size before they are parsed, and
parsed as JSON. The clock, the counters and the watch on the kernel's death are on this side.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session

from mnist_course.grading.connections import Connection
from mnist_course.grading.kernels import KernelNeverStarted, reason_of_death
from mnist_course.grading.limits import Limits
from mnist_course.grading.values import MIME

RECEIVE_QUEUE = 64
"""Messages that ZeroMQ holds while this process is busy; this, too, bounds memory."""

MEMORY_GROWTH = 768 * 2**20
"""Bytes that this process may grow by while it listens to one kernel. A message in endlessly many parts
is kept whole before anybody here can count it."""

PATIENCE = 0.2
"""Seconds between two looks at the clock and at the kernel's process."""

GRACE = 1.0
"""Seconds that a cell's last broadcasts may take after its reply."""


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


class Ended(Exception):
    """The kernel's run is over before its cells are."""

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why


class Wire:
    """Sends cells to one kernel and listens to it."""

    def __init__(self, manager: KernelManager, limits: Limits):
        self.manager = manager
        self.limits = limits
        self.session: Session = manager.session
        self.connections: list[Connection] = []
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
        self.connections.append(Connection(socket))  # before the connection is made
        socket.connect(self.manager._make_url(channel))
        return socket

    def close(self) -> None:
        """Drop both wires, with everything that is still on its way."""
        for connection in self.connections:
            connection.close()

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
        except Ended as end:
            why = {"died": "its process ended", "deadline": "it did not answer"}.get(end.why, end.why)
            raise KernelNeverStarted(f"{why} {reason_of_death(self.manager)}".rstrip()) from None

    def open(self, source: str) -> None:
        """Run a cell of ours before any of the student's; it must succeed."""
        opening = CellRun()
        try:
            self.execute(source, time.monotonic() + self.limits.start_seconds, opening)
        except Ended as end:
            raise KernelNeverStarted(
                f"it did not take the seed: {end} {reason_of_death(self.manager)}"
            ) from None
        if opening.error is not None:
            raise KernelNeverStarted(f"it did not take the seed: {': '.join(opening.error)}")
        self.reset()

    def execute(self, source: str, deadline: float, cell: CellRun) -> None:
        """Run one cell and fill in what it sends until it is done; raises `Ended` when it never is."""
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
            late = time.monotonic() > replied_at + GRACE and not any(
                one.lost for one in self.connections
            )
            if replied_at < float("inf") and (idle or late):
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
        """Every now and then: stop when time is up, the kernel dead or lost, or this process grows."""
        now = time.monotonic()
        if now < self.next_look:
            return
        self.next_look = now + PATIENCE
        if now > deadline:
            raise Ended("deadline")
        if _resident_bytes() - self.resident > MEMORY_GROWTH:
            raise Ended("flood")
        if not self.manager.is_alive() and not self.poller.poll(0):
            raise Ended("died")
        for connection in self.connections:
            if why := connection.end():
                raise Ended(why)

    def _read(self, socket: Any) -> dict[str, Any] | None:
        """Read one message; None when it is not of this kernel's session or not a message at all."""
        try:
            frames = socket.recv_multipart(zmq.NOBLOCK)
        except zmq.ZMQError:
            return None
        self.messages += 1
        self.received += sum(map(len, frames))
        if self.messages > self.limits.messages or self.received > self.limits.output_bytes:
            raise Ended("flood")
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
