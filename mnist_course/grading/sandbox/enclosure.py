"""The grader's handle on one sandbox: start its supervisor, give it a command, end it."""

import base64
import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mnist_course.errors import InputError
from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox import syscalls, view

Method = Literal["bubblewrap", "landlock"]
METHODS: tuple[Method, ...] = ("bubblewrap", "landlock")  # the stronger first

_START = "import sys; sys.path.insert(0, sys.argv[1]); from supervisor import main; main()"
# What a kernel may learn about its surroundings: how many threads to use, not who pays for them.
_PASSED_ON = (
    "_NUM_THREADS",
    "_NUM_INTRAOP_THREADS",
    "_NUM_INTEROP_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "KERAS_BACKEND",
    "MPLBACKEND",
    "PYDEVD_DISABLE_FILE_VALIDATION",
    "PYTHONHASHSEED",
    "TF_CPP_MIN_LOG_LEVEL",
    "TQDM_DISABLE",
    "TZ",
)


class Enclosure:
    """A prepared sandbox that is waiting for its command, then the running command.

    Attributes
    ----------
    supervisor
        The process that watches the sandbox; it ends after everything in the sandbox has ended.
    outside, inside
        The folder of the connection file and the sockets, as the grader and as the kernel name it.
    user
        The sandbox's own user id, None where it shares the grader's.
    """

    def __init__(
        self,
        method: Method,
        limits: Limits,
        *,
        hide: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the supervisor and wait until the sandbox's folder exists, some 30 ms.

        Raises
        ------
        InputError
            The sandbox cannot work here; the message says why.
        """
        plan = _plan(method, limits, hide, environment or {})
        self.supervisor: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, str(Path(__file__).parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the grader, which then ends its sandboxes
            cwd="/",
            env={},  # bubblewrap would show the grader's in the sandbox, as /proc/1/environ
        )
        answer: dict[str, Any] = {}
        try:
            self._tell(plan)
            assert self.supervisor.stdout is not None
            answer = json.loads(self.supervisor.stdout.readline() or "{}")
        finally:
            if "outside" not in answer:
                self.end()
        if "outside" not in answer:
            raise InputError(
                f"{method}: {answer.get('refused') or self.reason or 'its supervisor died'}"
            )
        self.outside: str = answer["outside"]
        self.inside: str = answer["inside"]
        self.user: int | None = answer["user"]

    def run(self, command: Sequence[str], files: Mapping[str, str] | None = None) -> None:
        """Run `command` in the sandbox, after writing `files` (name: text) into its folder."""
        self._tell({"command": list(command), "files": dict(files or {})})

    def end(self) -> None:
        """Kill everything in the sandbox; return when nothing of it is left."""
        if self.supervisor.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.supervisor.stdin.close()  # the supervisor takes this as the grader's end
        self.supervisor.wait()
        self._close()

    def seal(self) -> None:
        """Take the folder of the sockets from the kernel, once it is connected; only root can.

        Else it could put a link in a socket's place, and the grader, when it connects again, would
        connect to any socket of this machine.
        """
        if self.user is not None:
            os.chown(self.outside, 0, 0)
            Path(self.outside).chmod(0o755)

    @property
    def reason(self) -> str:
        """Why the sandbox ended, "" where the command ended by itself or still runs."""
        return self._reason

    _reason = ""

    def _close(self) -> None:
        if self.supervisor.stderr is not None and not self.supervisor.stderr.closed:
            self._reason = self.supervisor.stderr.read().decode(errors="replace").strip()
            self.supervisor.stderr.close()
        if self.supervisor.stdout is not None:
            self.supervisor.stdout.close()

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self.supervisor.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; whoever reads from it learns why
            self.supervisor.stdin.write(json.dumps(message).encode() + b"\n")
            self.supervisor.stdin.flush()


def _plan(
    method: Method, limits: Limits, hide: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Everything the supervisor has to know, as JSON."""
    bubblewrap = shutil.which("bwrap")
    if method == "bubblewrap" and bubblewrap is None:
        raise InputError("bubblewrap: bwrap is not installed; apt-get install bubblewrap")
    return {
        "sandbox": method,
        "bwrap": bubblewrap,
        "visible": view.visible_paths(),
        "hidden": view.hidden_paths(hide),
        "limits": dataclasses.asdict(limits),
        "package": str(view.PACKAGE),
        "environment": _environment(environment, packages=method == "landlock"),
        "filter": base64.b64encode(
            syscalls.compiled(namespaces=method == "bubblewrap", own_user=os.geteuid() == 0)
        ).decode(),
    }


def _environment(given: Mapping[str, str], *, packages: bool) -> dict[str, str]:
    """All variables of the kernel; ``{tmp}`` and ``{kernel}`` stand for its two folders."""
    environment = {
        "HOME": "{tmp}/home",
        "IPYTHONDIR": "{tmp}/home/.ipython",
        "LANG": "C.UTF-8",
        "LOGNAME": "student",
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore:Couldn't bind IOPub Pipe",  # it is for TCP, and there is none
        "TMPDIR": "{tmp}",
        "USER": "student",
    }
    if packages:
        environment["PYTHONPATH"] = "{kernel}"
    return environment | {name: text for name, text in given.items() if name.endswith(_PASSED_ON)}
