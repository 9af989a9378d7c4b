"""Which system calls a submission may make: all but the ones that reach around the other walls.

A table for `libseccomp`, which compiles it for this machine's processor; programs of another
architecture are killed.
"""

import errno
import functools
import socket
import tempfile
from collections.abc import Iterator
from types import ModuleType

from mnist_course.errors import InputError

# What answers "not permitted", by what it would reach.
_FORBIDDEN = {
    "other processes": "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd pidfd_send_signal "
    "process_madvise move_pages migrate_pages",
    # a session of its own is a scheduling group of its own, so many of them starve the neighbour
    "more than its share of the processor": "setsid",
    "namespaces and mounts": "unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen "
    "fsconfig fsmount fspick mount_setattr open_by_handle_at name_to_handle_at quotactl swapon swapoff",
    "the machine": "reboot kexec_load kexec_file_load init_module finit_module delete_module acct "
    "syslog settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname iopl ioperm "
    "modify_ldt vhangup",
    "large parts of the kernel that no exercise needs": "bpf perf_event_open userfaultfd keyctl "
    "add_key request_key fanotify_init inotify_add_watch",
}

# What answers "no such call", so that libraries do without.
_ABSENT = {
    "memory that no process has and no limit counts": "memfd_create memfd_secret shmget shmat msgget "
    "semget mq_open",
    "calls that this filter cannot see into": "io_uring_setup io_uring_enter io_uring_register clone3",
}

# With the grader's own user id, an owner may do these to files that cannot be opened. IPython copies a
# file with its mode when it starts, so a change of mode only says that it was made.
_OWNER_ONLY = {
    "modes": "chmod fchmod fchmodat fchmodat2",
    "owners, times": "chown fchown fchownat lchown utime utimes futimesat utimensat",
    "attributes": "setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr "
    "removexattrat",
}

# And a user may do these to all the user's processes, the grader among them. The first argument, or the
# second, is a process, 0 the caller. libzmq schedules its own threads by number, and aborts at an error.
_PROCESS_FIRST = {"prlimit64": errno.EPERM} | dict.fromkeys(
    ("sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"), 0
)
_PROCESS_SECOND = {"setpriority": 0, "ioprio_set": 1}  # with the first argument that means one process

# Calls younger than some libseccomp in use; from 424 on, the numbers are the same on every processor.
_NUMBERS = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "memfd_secret": 447,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
}
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # typing into a terminal
_CLONE_NEW_NAMESPACES = tuple(1 << bit for bit in (17, 25, 26, 27, 28, 29, 30))
_TYPE_OF_SOCKET, _NO_ADDRESS = 0xF, 0
_LOW_HALF = 0xFFFFFFFF

# An answer, a call, and conditions on its arguments: (argument, comparison, value or mask and value).
Rule = tuple[int, str, tuple[tuple[int, ...], ...]]


@functools.cache
def compiled(*, namespaces: bool, own_user: bool) -> bytes:
    """Return the filter as the kernel takes it, 8 bytes an instruction.

    Parameters
    ----------
    namespaces
        The sandbox has its own network, processes and files, as in bubblewrap; without them more is
        forbidden: sockets of the host.
    own_user
        The sandbox's user id is nobody else's; without it and without namespaces, an owner may not
        change a file's mode, nor a user another process's priority.

    Raises
    ------
    InputError
        libseccomp is not installed.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:  # the package, or the library it calls, is missing
        raise InputError(f"no filter of system calls: {error}; apt-get install libseccomp2") from None
    program = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for answer, name, conditions in rules(namespaces=namespaces, own_user=own_user):
        call = _number(pyseccomp, name)
        if call is not None:
            arguments = [pyseccomp.Arg(*condition) for condition in conditions]
            program.add_rule(pyseccomp.ERRNO(answer), call, *arguments)
    with tempfile.TemporaryFile() as file:
        program.export_bpf(file)
        file.seek(0)
        return file.read()


def rules(*, namespaces: bool, own_user: bool) -> Iterator[Rule]:
    """Yield every call that is answered with an error; see `compiled`."""
    equal, above, masked, different = 4, 6, 7, 1  # libseccomp's scmp_compare
    for name in _names(_FORBIDDEN):
        yield errno.EPERM, name, ()
    for name in _names(_ABSENT):
        yield errno.ENOSYS, name, ()
    for request in (_TIOCSTI, _TIOCLINUX):
        yield errno.EPERM, "ioctl", ((1, masked, _LOW_HALF, request),)
    for flag in _CLONE_NEW_NAMESPACES:
        yield errno.EPERM, "clone", ((0, masked, flag, flag),)
    for family in range(socket.AF_NETLINK):
        if family != socket.AF_UNIX:
            yield errno.EAFNOSUPPORT, "socket", ((0, equal, family),)
    yield errno.EOPNOTSUPP, "socket", ((0, equal, socket.AF_NETLINK),)  # libzmq aborts at anything else
    yield errno.EAFNOSUPPORT, "socket", ((0, above, socket.AF_NETLINK),)
    if not namespaces:
        # a kernel answers, it never calls: no socket of the host, the session bus least of all
        yield errno.EPERM, "connect", ()
        yield errno.EPERM, "sendto", ((4, different, _NO_ADDRESS),)
        for name in ("socket", "socketpair"):
            yield errno.EPERM, name, ((1, masked, _TYPE_OF_SOCKET, socket.SOCK_DGRAM),)
    if not namespaces and not own_user:
        for name in _names(_OWNER_ONLY):
            yield (0 if name in _OWNER_ONLY["modes"].split() else errno.EPERM), name, ()
        for name, answer in _PROCESS_FIRST.items():
            yield answer, name, ((0, different, 0),)
        for name, one_process in _PROCESS_SECOND.items():
            yield errno.EPERM, name, ((1, different, 0),)
            yield errno.EPERM, name, ((0, different, one_process),)


def _names(table: dict[str, str]) -> list[str]:
    return " ".join(table.values()).split()


def _number(library: ModuleType, name: str) -> int | None:
    """Return the call's number here; None where this processor has no such call."""
    number = int(library.resolve_syscall(library.system_arch(), name))
    return number if number >= 0 else _NUMBERS.get(name)
