"""Starting a kernel for a submission, and knowing what became of it.

Every kernel gets the same small environment and an empty folder of its own, whatever is installed or set
on this machine; its process and its files are gone when the block that started it ends.
"""

import contextlib
import functools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager

from mnist_course.grading.limits import Limits

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


PREFIX, OWNER = "exercise-", ".mnist-course-owner"
"""How the folder of a kernel is called, and the file in it that its owner has locked."""


class KernelNeverStarted(RuntimeError):
    """The kernel did not answer before any of a student's code ran: not the student's fault."""


class _OneSpec(KernelSpecManager):
    """Knows one kernel, whatever is installed on this machine or named in a notebook."""

    spec: KernelSpec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self.spec


@contextlib.contextmanager
def started_kernel(
    sandbox: str | None, limits: Limits, hide: tuple[str, ...]
) -> Iterator[KernelManager]:
    """Start a kernel; whatever happens, leave neither its process nor its files behind."""
    sweep(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    mark = _owned(folder)
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
        os.close(mark)
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def sweep(temporary: str) -> None:
    """Remove, once in a process, the folders in `temporary` whose owners were killed.

    A folder's owner holds a lock on a file in it; the system frees the lock when the owner ends, however
    that happens. A number of a process would be another's one day, or in another container.
    """
    if os.name != "posix":
        return
    for folder in Path(temporary).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # no folder, no mark, a living owner, or somebody else's
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                mark = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    _lock(mark)
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(mark)


def _owned(folder: Path) -> int:
    """Mark `folder` as this process'; return the mark, which lasts until it is closed."""
    # named when it is locked: nobody sees a mark that is free
    mark = os.open(folder / f"{OWNER}-new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    if os.name == "posix":
        _lock(mark)
        (folder / f"{OWNER}-new").rename(folder / OWNER)
    return mark


def _lock(mark: int) -> None:
    import fcntl  # not on Windows

    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _spec(sandbox: str | None, limits: Limits, hide: tuple[str, ...]) -> KernelSpec:
    if sandbox is not None:
        from mnist_course.grading.sandbox import Method, kernel_spec

        return kernel_spec(cast(Method, sandbox), limits=limits, hide=hide)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    argv += ["--HistoryManager.enabled=False", "--log-level=50"]
    return KernelSpec(argv=argv, language="python", display_name="exercise", interrupt_mode="message")


def reason_of_death(manager: KernelManager) -> str:
    """Return what the sandbox says about the kernel's end; nothing where there is none."""
    return str(getattr(manager.provisioner, "reason", "") or "")
