"""A sandboxed kernel that makes attempts, and says what became of them."""

import contextlib
import json
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


class _OneSpec(KernelSpecManager):
    spec: KernelSpec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self.spec


class Trial:
    """A started kernel; leaving the context ends it with all it started.

    Raises
    ------
    RuntimeError
        The kernel did not start, or an attempt failed in a way that is no wall.
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
        """Return the text that `expression` evaluates to inside."""
        answers: list[str] = []

        def collect(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                answers.append(message["content"]["text"])

        try:
            reply = self.client.execute_interactive(
                f"{setup}\nprint(json.dumps({expression}))",
                store_history=False,
                timeout=_CALL_SECONDS,
                output_hook=collect,
            )
        except (RuntimeError, TimeoutError) as error:
            raise RuntimeError(
                f"{expression.split('(')[0]}: {error} {self.provisioner.reason}"
            ) from None
        if reply["content"]["status"] != "ok":
            content = reply["content"]
            raise RuntimeError(f"{expression.split('(')[0]}: {content['ename']}: {content['evalue']}")
        answer: str = json.loads("".join(answers))
        return answer

    def survive(self, statement: str, *, seconds: float = 30) -> str | None:
        """Run `statement` until the sandbox is ended; return why, None when it is not within `seconds`."""
        self.client.execute(statement, store_history=False)
        enclosure = self.provisioner.enclosure
        assert enclosure is not None
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if enclosure.supervisor.poll() is not None:
                with contextlib.suppress(OSError):
                    enclosure.end()
                return enclosure.reason
            time.sleep(0.05)
        return None
