"""What a notebook calls: draw inputs, publish values, check oneself, ask for a hint.

Nothing here decides about points. In a graded kernel `probe` only publishes; in a student's own
notebook, after `open_exercise`, it also says whether the value is right under the public seed.
"""

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError
from mnist_course.grading.inputs import PUBLIC_SEED, draw_unseen, generator
from mnist_course.grading.judging import KeyedProbe
from mnist_course.grading.values import MIME, decode, describe, encode


@dataclass
class _Notebook:
    """What this process knows about the exercise it runs."""

    seed: int = PUBLIC_SEED
    unseen: NDArray[np.uint8] | None = None
    drawn: tuple[str, int] = ("mnist", 500)
    probes: dict[str, KeyedProbe] = field(default_factory=dict)
    hints: dict[str, list[str]] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)


_notebook = _Notebook()


def exercise_rng(name: str) -> np.random.Generator:
    """Return the generator that draws the inputs of the probe `name`.

    The same name gives the same numbers under the same seed. The seed is public in a notebook that you
    run yourself; when grades are given it is a fresh one.
    """
    return generator(_notebook.seed, name)


def unseen() -> NDArray[np.uint8]:
    """Return images whose labels this notebook does not know; uint8, shape (N, 28, 28)."""
    if _notebook.unseen is not None:
        return _notebook.unseen
    return draw_unseen(PUBLIC_SEED, *_notebook.drawn).images


def raised(function: Callable[..., object], *arguments: object, **options: object) -> str:
    """Call `function`; return the name of the exception's class, or ``"nothing"``.

    What is not written yet says so itself: NotImplementedError is let through.

    >>> raised(int, "three")
    'ValueError'
    """
    try:
        function(*arguments, **options)
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return "nothing"


def probe(name: str, value: object) -> None:
    """Publish `value` as this exercise's answer `name`; in your own notebook, also check it.

    Parameters
    ----------
    name
        The probe, for example ``"output-size/dilation"``.
    value
        A number, text, array or tensor, or lists, tuples and dicts of these.

    Raises
    ------
    InputError
        The value is of a kind that cannot be published; the message says what can.
    """
    node = encode(value)
    bundle = {"version": 1, "name": name, "value": node}
    keyed = _notebook.probes.get(name)
    text = f"{name}: {describe(decode(node))}" if keyed is None else keyed.check(decode(node))
    _display({MIME: bundle, "text/plain": text})


def hint(name: str) -> None:
    """Open the next hint of the probe `name`; the ones already open stay open."""
    hints = _notebook.hints.get(name)
    if hints is None:
        known = ", ".join(_notebook.hints) or "none: run the notebook's first cells"
        raise InputError(f"no hints for {name!r}; there are hints for: {known}")
    opened = _notebook.opened[name] = min(_notebook.opened.get(name, 0) + 1, len(hints))
    for number, text in enumerate(hints[:opened], start=1):
        print(f"Hint {number} of {len(hints)}: {text}")


def open_exercise(name: str, sealed: str) -> None:
    """Prepare the self-check of a released exercise; its first cell calls this.

    Parameters
    ----------
    name
        The exercise, for example ``"02_convolution_arithmetic"``.
    sealed
        What `seal` returned: expected values, known mistakes and hints under the public seed.
    """
    content = unseal(sealed)
    _notebook.probes = {
        probe_name: KeyedProbe.from_json(probe_name, keyed)
        for probe_name, keyed in content["probes"].items()
    }
    _notebook.hints = content["hints"]
    _notebook.opened = {}
    if content["unseen"]:
        _notebook.drawn = content["unseen"]["data"], content["unseen"]["count"]
    print(f'{name}: {len(_notebook.probes)} checks. Write, run, read; hint("name") helps.')


def begin_grading(seed: int, unseen_images: str | None = None, shape: tuple[int, ...] = ()) -> None:
    """Set the seed and the unseen images of a graded run; the runner calls this before anything else.

    Parameters
    ----------
    seed
        The seed of the run.
    unseen_images
        The bytes of a uint8 array, base64.
    shape
        Its shape.
    """
    global _notebook
    _notebook = _Notebook(seed=seed)
    if unseen_images is not None:
        flat = np.frombuffer(base64.b64decode(unseen_images), np.uint8)
        _notebook.unseen = flat.reshape(shape)


def seal(content: dict[str, Any]) -> str:
    """Pack the self-check's content so that nobody reads an answer by accident."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unseal(sealed: str) -> dict[str, Any]:
    """Return what `seal` packed."""
    content: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(sealed)))
    return content


def _display(bundle: dict[str, Any]) -> None:
    """Show `bundle` in a notebook, or print its text elsewhere."""
    try:
        from IPython.core.getipython import get_ipython
    except ModuleNotFoundError:
        shell = None
    else:
        shell = get_ipython()
    if shell is None:
        print(bundle["text/plain"])
        return
    from IPython.display import display

    display(bundle, raw=True)  # type: ignore[no-untyped-call]
