"""Every network of the course by name, in every framework."""

from importlib import import_module
from typing import Any

from mnist_course.errors import InputError

FRAMEWORKS = {"numpy": "scratch", "keras": "keras", "pytorch": "pytorch"}
"""Framework name → the subpackage that holds its wing."""

MODELS = ("lenet5", "simple_cnn", "dense_cnn", "small_cnn", "single_conv_cnn")
"""The networks that all three wings build."""


def wing(framework: str, module: str) -> Any:
    """Import one module of a framework's wing, for example ``wing("pytorch", "training")``.

    Raises
    ------
    InputError
        The framework is unknown or not installed.
    """
    if framework not in FRAMEWORKS:
        raise InputError(f"unknown framework {framework!r}; choose one of {', '.join(FRAMEWORKS)}")
    return part(f"mnist_course.{FRAMEWORKS[framework]}.{module}", wanted_by=framework, extra=framework)


def part(module: str, *, wanted_by: str, extra: str) -> Any:
    """Import a module of the package that needs an extra, or say what to install.

    Parameters
    ----------
    module
        Its full name.
    wanted_by
        What the message says needs the missing package.
    extra
        Of the package's optional dependencies, the one to install.

    Raises
    ------
    InputError
        A package that the module imports is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mnist_course"):
            raise
        raise InputError(
            f"{wanted_by} needs the package {error.name!r}, which is not installed;"
            f" run: pip install 'mnist-course[{extra}]'"
        ) from error


def build(name: str, framework: str = "pytorch", *, seed: int = 0) -> Any:
    """Build a network with freshly initialised weights.

    Parameters
    ----------
    name
        One of `MODELS`.
    framework
        ``"numpy"``, ``"keras"`` or ``"pytorch"``.
    seed
        Fixes the initial weights. Frameworks draw them differently, so the same seed gives the same
        weights within one framework only.

    Returns
    -------
    model
        A `mnist_course.scratch.Sequential`, a `keras.Model` or a `torch.nn.Module` whose outputs are
        logits of shape (N, 10).

    Raises
    ------
    InputError
        The name or the framework is unknown, or the framework is not installed.
    """
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; choose one of {', '.join(MODELS)}")
    return wing(framework, "models").build(name, seed=seed)
