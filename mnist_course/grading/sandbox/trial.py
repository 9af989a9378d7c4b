"""A sandboxed kernel that makes attempts, and says what became of them."""

import json
import queue
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager

from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox.enclosure import Method
from mnist_course.grading.sandbox.provisioner import SandboxProvisioner, kernel_spec

_SETUP = """
import json
from mnist_course.grading.sandbox.attempts import *
"""
_START_SECONDS, _CALL_SECONDS = 60, 60


class Ended(Exception):
    """The sandbox was ended during an attempt; the message says why."""


class AttemptError(Exception):
    """An attempt failed in a way that is no wall: it proves nothing."""


class _OneSpec(KernelSpecManager):
    spec: KernelSpec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self.spec


class Trial:
    """A started kernel; leaving the context ends it with all it started.

    Raises
    ------
    RuntimeError
        The kernel did not start.
    """

    def __init__(self, method: Method, limits: Limits, *, hide: Sequence[str] = ()) -> None:
        specs = _OneSpec()
        specs.spec = kernel_spec(method, limits=limits, hide=hide)
        self.manager: Any = KernelManager(kernel_name="sandboxed", kernel_spec_manager=specs)
        self.client: Any = None

    def __enter__(self) -> Self:
        """Start the kernel, which gets the environment of this process as any kernel would."""
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=_START_SECONDS)
            self.call("''", setup=_SETUP)
        except BaseException as error:
            self.__exit__(None, None, None)
            if isinstance(error, RuntimeError):
                raise RuntimeError(f"{error}: {self.provisioner.reason}") from None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.manager.shutdown_kernel(now=True)
        self.client.stop_channels()

    @property
    def provisioner(self) -> SandboxProvisioner:
        """What started the kernel."""
        provisioner: SandboxProvisioner = self.manager.provisioner
        return provisioner

    @property
    def user(self) -> int | None:
        """The sandbox's own user id, None where it is the grader's."""
        assert self.provisioner.enclosure is not None
        return self.provisioner.enclosure.user

    def call(self, expression: str, *, setup: str = "") -> str:
        """Return the text that `expression` evaluates to inside.

        Raises
        ------
        Ended
            The sandbox was ended meanwhile.
        AttemptError
            The expression raised an exception.
        """
        source = f"{setup}\nprint(json.dumps({expression}))"
        request = self.client.execute(source, store_history=False, stop_on_error=False)
        answer = error = ""
        until = time.monotonic() + _CALL_SECONDS
        while time.monotonic() < until:
            try:
                message = self.client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                if (reason := self._ended()) is not None:
                    raise Ended(reason) from None
                continue
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != request:
                continue
            if kind == "error":
                error = f"{content['ename']}: {content['evalue']}"
            if kind == "stream" and content["name"] == "stdout":
                answer += content["text"]
            if kind == "status" and content["execution_state"] == "idle":
                if error:
                    raise AttemptError(error)
                reached: str = json.loads(answer)
                return reached
        raise AttemptError(f"no answer in {_CALL_SECONDS} s")

    def survive(self, statement: str, *, seconds: float = 30) -> str | None:
        """Run `statement` until the sandbox is ended; return why, None if not within `seconds`."""
        self.client.execute(statement, store_history=False)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if (reason := self._ended()) is not None:
                return reason
            time.sleep(0.05)
        return None

    def _ended(self) -> str | None:
        """Return why the sandbox has ended, None while it runs."""
        enclosure = self.provisioner.enclosure
        assert enclosure is not None
        if enclosure.supervisor.poll() is None:
            return None
        enclosure.end()
        return enclosure.reason
