"""Which sandbox works on this machine: really tried, once in a process."""

import functools
import os
import sys

from mnist_course.errors import InputError
from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox.enclosure import METHODS, Enclosure, Method

_SIGNALS_STAY_INSIDE = 6  # the version of Landlock (Linux 6.12) that keeps signals within a sandbox
_HINT = "apt-get install bubblewrap libseccomp2, and allow user namespaces"


@functools.cache
def obstacle(method: Method) -> str:
    """Return why `method` does not work here, "" where it does."""
    if not sys.platform.startswith("linux"):
        return f"{method}: needs Linux"
    if method == "landlock":
        from mnist_course.grading.sandbox.supervisor import landlock  # which only Linux can load

        level = landlock.version()
        if level == 0:
            return "landlock: this kernel has none (Linux 5.13, enabled at boot)"
        if os.geteuid() != 0 and level < _SIGNALS_STAY_INSIDE:
            return "landlock: without root it needs Linux 6.12, which keeps signals inside"
    try:
        enclosure = Enclosure(method, Limits())
    except InputError as error:
        return str(error)
    enclosure.run([sys.executable, "-I", "-S", "-c", "pass"])
    enclosure.supervisor.wait()
    enclosure.end()
    if enclosure.supervisor.returncode == 0:
        return ""
    return f"{method}: {enclosure.reason or 'a first command failed in it'}"


def available() -> Method | None:
    """Return the strongest sandbox that works here, None where none does."""
    return next((method for method in METHODS if not obstacle(method)), None)


def reason() -> str:
    """Return one line that says why no sandbox works here and what to do; "" where one does."""
    if available() is not None:
        return ""
    return "; ".join(obstacle(method) for method in METHODS) + f". Do: {_HINT}"
