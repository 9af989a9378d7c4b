"""Jupyter's side: a kernel provisioner that starts kernels in a sandbox."""

import asyncio
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Dict, List, Unicode

from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox.enclosure import Enclosure, Method

NAME = "mnist-course-sandbox"  # the entry point in pyproject.toml
_KERNEL_FILE = "{kernel_file}"  # not Jupyter's {connection_file}: that path exists outside only


def kernel_spec(method: Method, *, limits: Limits, hide: Sequence[str] = ()) -> KernelSpec:
    """Return a Python kernel that starts in a sandbox.

    Parameters
    ----------
    method
        One of `available`'s answers.
    limits
        What the submission may use.
    hide
        Dotted names below ``mnist_course`` that the kernel must not be able to import.
    """
    config = {"method": method, "limits": dataclasses.asdict(limits), "hide": list(hide)}
    return KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", _KERNEL_FILE],
        display_name=f"Python in a sandbox ({method})",
        language="python",
        interrupt_mode="message",  # a signal would reach the supervisor, not the kernel
        metadata={"kernel_provisioner": {"provisioner_name": NAME, "config": config}},
    )


class SandboxProvisioner(LocalProvisioner):
    """Starts the kernel of a `kernel_spec` behind the walls it names.

    `process` is the supervisor (see `Enclosure`): alive as long as anything in the sandbox is.
    """

    method: Method = Unicode(config=True, help="bubblewrap or landlock")  # type: ignore[assignment]
    limits = Dict(config=True, help="the fields of mnist_course.grading.limits.Limits")
    hide = List(Unicode(), config=True, help="modules that the kernel must not see")
    enclosure: Enclosure | None = None

    @property
    def reason(self) -> str:
        """Why the sandbox ended, "" where the kernel ended by itself or still runs."""
        return self.enclosure.reason if self.enclosure is not None else ""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Prepare the sandbox's folder and put the kernel's sockets there.

        Raises
        ------
        InputError
            The sandbox cannot work here; the message says why.
        """
        environment = kwargs.get("env", {}) | self.kernel_spec.env
        enclosure = await asyncio.to_thread(
            Enclosure, self.method, Limits(**self.limits), hide=self.hide, environment=environment
        )
        self.enclosure = enclosure
        manager: Any = self.parent
        manager.transport = "ipc"  # the sandbox has no network
        manager.ip = f"{enclosure.outside}/s"
        manager.connection_file = f"{enclosure.outside}/manager.json"
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel, which knows its folder by another name than the grader."""
        assert self.enclosure is not None
        key: Any = self.connection_info["key"]  # bytes, whatever its annotation says
        connection = {**self.connection_info, "ip": f"{self.enclosure.inside}/s", "key": key.decode()}
        path = f"{self.enclosure.inside}/kernel.json"
        command = [path if argument == _KERNEL_FILE else argument for argument in cmd]
        self.enclosure.run(command, {"kernel.json": json.dumps(connection)})
        self.process = self.enclosure.supervisor
        self.pid = self.process.pid
        self.pgid = None
        return self.connection_info

    def seal(self) -> None:
        """Take the sockets from the kernel, once the grader is connected; see `Enclosure.seal`."""
        assert self.enclosure is not None
        self.enclosure.seal()

    async def wait(self) -> int | None:
        """Wait until nothing of the sandbox is left."""
        if self.enclosure is None or self.process is None:
            return 0
        while self.process.poll() is None:
            await asyncio.sleep(0.01)
        self.enclosure.end()
        status: int = self.process.returncode
        self.process = None
        return status

    async def send_signal(self, signum: int) -> None:
        """End the sandbox, whatever the signal: its supervisor does nothing else."""
        await self.kill()

    async def kill(self, restart: bool = False) -> None:
        """Kill everything in the sandbox."""
        if self.enclosure is not None:
            await asyncio.to_thread(self.enclosure.end)

    async def terminate(self, restart: bool = False) -> None:
        """Kill everything in the sandbox: a submission has nothing to put in order."""
        await self.kill()

    async def cleanup(self, restart: bool = False) -> None:
        """Make sure that nothing is left; the folder goes with the supervisor."""
        await self.kill()
