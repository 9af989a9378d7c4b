"""The process between the grader and one sandboxed kernel.

It runs as the grader's user, prepares the sandbox's files, starts the confined kernel as its child,
watches what the kernel and everything it starts use, and kills all of it when the kernel ends, when a
limit is passed, or when the grader goes away, by ``kill -9`` too: the grader's end of the pipe on
standard input then closes. The student's code cannot reach it.

Started as ``python -I -S``, it uses the standard library and the modules of this folder only: a kernel
should not wait for NumPy, and nothing a student could have written is imported.

Protocol: one JSON line in (the plan), one out (where the kernel's folder is, or why not), one in (the
command and the kernel's files), then silence until the end; the reason for an end that the kernel did
not choose is the last thing on standard error.
"""

from .session import main

__all__ = ["main"]
