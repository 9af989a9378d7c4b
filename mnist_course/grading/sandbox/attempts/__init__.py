"""Attempts to break out of a sandbox, as functions that run inside it.

The doctor and the tests make each of them in a started kernel. All of `REACHING` succeed where there is
no sandbox, which a test shows: an attempt that fails everywhere proves nothing.
"""

from collections.abc import Callable

from mnist_course.grading.sandbox.attempts import files, network, processes, resources
from mnist_course.grading.sandbox.attempts.resources import Allowance
from mnist_course.grading.sandbox.attempts.target import Attempt, Target

__all__ = ["CLINGING", "EXHAUSTING", "REACHING", "TAKING", "Allowance", "Attempt", "Target"]

# Reach something outside; the name says what.
REACHING: dict[str, Attempt] = {
    "network: a server on this machine": network.loopback,
    "network: sockets of every family": network.internet,
    "network: a Unix socket by its path": network.unix_socket,
    "network: a Unix socket by its abstract name": network.abstract_socket,
    "files: a world-readable file": files.read_secret,
    "files: the checkout around the package": files.read_checkout,
    "files: accounts, homes, logs": files.read_system,
    "files: what the exercise hides": files.read_hidden,
    "files: through other processes": files.read_through_processes,
    "files: through inherited descriptors": files.read_through_descriptors,
    "files: through links": files.link_secret,
    "files: writing in a world-writable folder": files.write_outside,
    "files: writing into Python and its packages": files.write_environment,
    "files: mounts and namespaces": files.mount,
    "processes: signals": processes.signal_others,
    "processes: tracing": processes.trace_others,
    "processes: priorities and limits": processes.slow_others,
    "processes: command lines and environments": processes.see_others,
    "processes: privileges": processes.privileges,
    "processes: a session of its own": processes.own_session,
    "environment: the grader's variables": processes.environment,
}

# Take more than allowed of something, and give it back.
TAKING: dict[str, Callable[[Allowance], str]] = {
    "memory: one large block": resources.one_large_block,
    "memory: of no process": resources.memory_of_nobody,
    "disk: one large file": resources.one_large_file,
    "disk: every writable place": resources.disk,
    "disk: empty files": resources.many_files,
    "processes: threads": resources.many_threads,
    "processes: open files": resources.many_open_files,
}

# Take it from inside limits that hold for one process, until the supervisor ends the sandbox; with what
# the supervisor then says, or the signal that the system sent.
EXHAUSTING: dict[str, tuple[Callable[[Allowance], None], str]] = {
    "memory: shared": (resources.shared_memory, "memory"),
    "memory: many processes": (resources.memory_of_many, "memory"),
    "processor: an endless loop": (resources.endless_loop, "processor"),
}

# Be there when the kernel has ended.
CLINGING: dict[str, Callable[[Allowance], None]] = {
    "processes: detached from the kernel": resources.outlive,
    "processes: a fork bomb": resources.fork_bomb,
}
