"""The sandbox's folder: the only place where the student's code can write.

Where this process may have a mount namespace of its own (as root, or where user namespaces are
allowed), the folder is a tmpfs with a quota of bytes and of files that nobody else sees and that is
gone with the last process. The grader reaches the kernel's sockets in it through
``/proc/PID/root``. Elsewhere it is a folder under the system's temporary one.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import processes

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_MOUNT_POINTS = ("/mnt", "/media", "/srv", "/opt")  # FHS: one of them exists and holds nothing we need
UIDS = range(0x70000000, 0x7FFFFFFE)  # assigned to nobody (systemd's table of user ids)
_READABLE = 0o004  # by other users
_BYTES_PER_FILE = 16384  # the quota of files: one for every 16 KiB of the quota of bytes
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Room:
    """Where the sandbox's own folders are, for each side.

    ``stage`` holds ``tmp`` (the kernel's world), ``shm`` (its shared memory) and ``kernel`` (its
    connection file and sockets), as this process sees them. ``inside`` is ``kernel`` as the kernel sees
    it, ``outside`` as the grader does, and ``tmp`` is ``tmp`` as the kernel sees it. ``uid`` is the
    sandbox's own user, None where it shares the grader's.
    """

    stage: str
    outside: str
    inside: str
    tmp: str
    uid: int | None
    namespace: bool

    def write(self, name: str, text: str) -> None:
        """Write a file that the kernel can read beside its sockets."""
        path = Path(self.stage, "kernel", name)
        path.write_text(text, encoding="utf-8")
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)

    def excess(self, child: int, limits: Mapping[str, int]) -> str:
        """Return which quota is passed, "" for none: of a tmpfs none can be, of a plain folder any.

        A look now and then is weaker than a quota: until the next one, a disk takes what it can.
        """
        if self.namespace:
            return ""
        written, files, most = processes.deleted_bytes(child), 0, limits["disk_bytes"]
        for folder, _, names in os.walk(self.stage):
            for name in names:
                files += 1
                with contextlib.suppress(OSError):
                    written += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118
            if written > most or files > most // _BYTES_PER_FILE:
                return f"disk: more than {most >> 20} MiB or {most // _BYTES_PER_FILE} files"
        return ""

    def remove(self) -> None:
        """Remove what outlives this process."""
        if self.namespace:
            return
        for folder, names, _ in os.walk(self.stage):
            for name in names:  # a closed folder would stay; nobody is left who could make it a link now
                if not Path(folder, name).is_symlink():
                    Path(folder, name).chmod(0o700)
        shutil.rmtree(self.stage, ignore_errors=True)


def prepare(plan: Mapping[str, Any]) -> Room:
    """Make the folder for `plan`, in a mount namespace of its own where that is possible.

    Raises
    ------
    OSError
        The system refuses, or the sandbox's user could not read what the kernel needs.
    """
    root = os.geteuid() == 0
    uid = _own_uid() if root else None
    if root and uid is None:
        raise PermissionError(
            "this user namespace has too few user ids to give the sandbox one of its own"
        )
    visible: Sequence[str] = plan["visible"]
    blocked = {top for path in visible if root and (top := _unreadable(path))}
    namespace = _enter_mount_namespace(root)
    if blocked and not namespace:
        raise PermissionError(
            f"{sorted(blocked)[0]} is closed to other users and holds the Python of this environment; "
            "open it (chmod o+rx), or use a Python elsewhere"
        )
    for path in visible if root else ():
        if Path(path).stat().st_mode & _READABLE != _READABLE:
            raise PermissionError(f"{path} is closed to other users; open it with chmod -R o+rX")
    if plan["sandbox"] == "bubblewrap" and not namespace:
        raise PermissionError("namespaces are forbidden here")
    for top in blocked:
        _replace(top, [path for path in visible if _beneath(path, top)])
    if namespace:
        stage = _mount_point(visible)
        quota = int(plan["limits"]["disk_bytes"])
        options = f"size={quota},nr_inodes={quota // _BYTES_PER_FILE},mode=0755"
        _mount("tmpfs", stage, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
    else:
        stage = tempfile.mkdtemp(prefix="mnist-course-")
        Path(stage).chmod(0o755 if root else 0o700)
    for name in ("shm", "kernel", "tmp", "tmp/home"):
        folder = Path(stage, name)
        folder.mkdir(mode=0o700)
        if uid is not None:
            os.chown(folder, uid, uid)
    bubblewrap = plan["sandbox"] == "bubblewrap"
    if not bubblewrap:  # where an editable installation would have Python list the whole checkout
        Path(stage, "kernel", Path(plan["package"]).name).symlink_to(plan["package"])
    prefix = f"/proc/{os.getpid()}/root" if namespace else ""
    return Room(
        stage=stage,
        outside=f"{prefix}{stage}/kernel",
        inside="/kernel" if bubblewrap else f"{stage}/kernel",
        tmp="/tmp" if bubblewrap else f"{stage}/tmp",
        uid=uid,
        namespace=namespace,
    )


def _own_uid() -> int | None:
    """Choose a user id that nobody has: processes are counted by user, and signals stay within one.

    None where this user namespace has too few ids to give one away.
    """
    maps = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    extents = [range(int(first), int(first) + int(count)) for first, _, count in maps]
    everywhere = any(UIDS.start in extent and UIDS.stop in extent for extent in extents)
    largest = max(extents, key=len)
    choices = UIDS if everywhere else range(max(largest.start, largest.stop // 2), largest.stop)
    return secrets.choice(choices) if len(choices) > 1000 else None


def _unreadable(path: str) -> str:
    """Return the first folder on the way to `path` that other users cannot pass, or ""."""
    for folder in [*reversed(Path(path).parents), Path(path)]:
        if folder.is_dir() and not folder.stat().st_mode & 0o001:
            return str(folder)
    return ""


def _beneath(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def _enter_mount_namespace(root: bool) -> bool:
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWNS if root else _CLONE_NEWNS | _CLONE_NEWUSER):
        return False
    if not root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    try:
        _mount("", "/", "", _MS_REC | _MS_PRIVATE, "")
    except OSError:
        return False
    return True


def _mount_point(visible: Sequence[str]) -> str:
    for folder in _MOUNT_POINTS:
        taken = any(
            _beneath(path, folder) or _beneath(os.path.realpath(path), folder) for path in visible
        )
        if Path(folder).is_dir() and not Path(folder).is_symlink() and not taken:
            return folder
    raise FileNotFoundError(f"none of {', '.join(_MOUNT_POINTS)} is an empty place to mount on")


def _replace(top: str, kept: Sequence[str]) -> None:
    """Cover the closed folder `top` with an empty open one that holds `kept` and nothing else."""
    opened = {path: os.open(path, os.O_PATH) for path in kept}
    _mount("tmpfs", top, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=0755")
    for path, descriptor in opened.items():
        Path(path).mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", path, "", _MS_BIND | _MS_REC, "")
        os.close(descriptor)


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    if _libc.mount(*(text.encode() for text in (source, target, kind)), flags, options.encode()):
        raise OSError(ctypes.get_errno(), f"cannot mount {kind or source} on {target}")
