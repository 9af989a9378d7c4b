"""What a sandbox shows: Python, its packages, the system's libraries, this package, and nothing else."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mnist_course.errors import InputError

PACKAGE = Path(__file__).resolve().parents[2]
# Labels of test images: whoever can read them needs no network.
ALWAYS_HIDDEN = ("data/archives/*/t10k-*",)
_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",  # where Debian's BLAS and others are links to
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/sys/devices/system/cpu",  # how many cores there are: OpenMP, oneDNN
)


def visible_paths() -> list[str]:
    """Return the absolute paths that a kernel needs, each with the path it is a link to.

    An editable installation shows the package's own folder; the checkout around it stays outside.
    """
    wanted = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, str(PACKAGE), *_SYSTEM]
    existing = [path for path in wanted if Path(path).exists()]
    real = [os.path.realpath(path) for path in existing]
    return _topmost(sorted({*existing, *real}))


def _topmost(paths: Sequence[str]) -> list[str]:
    """Drop what a kept folder already contains."""
    kept: list[str] = []
    for path in paths:
        if not any(Path(path).is_relative_to(other) for other in kept if not Path(other).is_symlink()):
            kept.append(path)
    return kept


def hidden_paths(modules: Sequence[str]) -> list[str]:
    """Return the absolute paths inside this package that a sandbox must not show.

    Parameters
    ----------
    modules
        Dotted names below ``mnist_course``, what the exercise asks to write.

    Raises
    ------
    InputError
        A name is no module of this package.
    """
    hidden = [str(path) for pattern in ALWAYS_HIDDEN for path in PACKAGE.glob(pattern)]
    for module in modules:
        first, *rest = module.split(".")
        path = PACKAGE.joinpath(*rest)
        if first == PACKAGE.name and rest and path.is_dir():
            hidden.append(str(path))
        elif first == PACKAGE.name and rest and path.with_suffix(".py").is_file():
            hidden.append(str(path.with_suffix(".py")))
            hidden += map(str, path.parent.glob(f"__pycache__/{path.name}.*.pyc"))
        else:
            raise InputError(f"cannot hide {module!r}: expected a module below {PACKAGE.name}")
    return sorted(hidden)
