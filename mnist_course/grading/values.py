"""Values on their way from a student's kernel to the judge: typed, limited, plain JSON.

`encode` runs in the student's process and may be lied to; nothing depends on it. `decode` runs in the
trusted process on whatever arrived: it accepts exactly what `encode` makes and nothing else, within
limits on size and depth, and builds arrays of plain numbers.
"""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError

MIME = "application/vnd.mnist-course.probe+json"
"""The output type under which `probe` publishes."""

MAX_NUMBERS = 100_000
MAX_ITEMS = 10_000
MAX_TEXT = 10_000
MAX_DEPTH = 8
MAX_NAME = 100
MAX_AXES = 16

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = ("bool", *INTEGERS, *FLOATS)
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

Value: TypeAlias = "str | NDArray[Any] | list[Any] | dict[str, Any] | None"
"""A text, an array (a number is one of shape ()), a sequence or a mapping of these, or nothing."""


def encode(value: object) -> dict[str, Any]:
    """Return `value` as the JSON that `decode` reads.

    Parameters
    ----------
    value
        None, a text, a number, an array or tensor, or lists, tuples and dicts of these.

    Raises
    ------
    InputError
        When the value is of another kind, too large or too deep.

    Examples
    --------
    >>> encode([True, 2])["items"][1]
    {'kind': 'array', 'dtype': 'int64', 'shape': [], 'data': [2]}
    >>> decode(encode({"size": (3, float("inf"))}))
    {'size': [array(3), array(inf)]}
    """
    return _Encoder().node(value, 0)


class _Encoder:
    def __init__(self) -> None:
        self.numbers = 0
        self.items = 0

    def node(self, value: Any, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise InputError(f"the value is nested more than {MAX_DEPTH} deep; publish a flatter one")
        if value is None:
            return {"kind": "none"}
        if isinstance(value, str):
            return {"kind": "text", "text": _short(str(value), MAX_TEXT)}
        if isinstance(value, Mapping):
            self._count(value)
            items = [[_short(str(key), MAX_NAME), self.node(value[key], depth + 1)] for key in value]
            return {"kind": "mapping", "items": items}
        if isinstance(value, list | tuple):
            self._count(value)
            return {"kind": "sequence", "items": [self.node(item, depth + 1) for item in value]}
        return self._array(value)

    def _count(self, value: Any) -> None:
        self.items += len(value)
        if self.items > MAX_ITEMS:
            raise InputError(
                f"more than {MAX_ITEMS:,} items in lists and dicts; use NumPy arrays instead"
            )

    def _array(self, value: Any) -> dict[str, Any]:
        array = _as_array(value)
        self.numbers += array.size
        if self.numbers > MAX_NUMBERS:
            raise InputError(f"more than {MAX_NUMBERS:,} numbers; publish fewer")
        data = array.ravel().tolist()
        if array.dtype.name in FLOATS:
            data = [number if math.isfinite(number) else str(number) for number in data]
        return {
            "kind": "array",
            "dtype": array.dtype.name,
            "shape": list(array.shape),
            "data": data,
        }


def _short(text: str, longest: int) -> str:
    if len(text) > longest:
        raise InputError(f"a text of {len(text):,} characters; at most {longest:,} are accepted here")
    return text


def _as_array(value: Any) -> NDArray[Any]:
    """Return a number, array or tensor as a NumPy array of one of `DTYPES`."""
    if hasattr(value, "detach"):  # a torch tensor may need a gradient and live on a GPU
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except Exception as error:
        raise _unknown(value) from error
    if array.dtype.name == "bfloat16":  # ml_dtypes' name, known where TensorFlow is
        array = array.astype(np.float32)
    if array.dtype.name not in DTYPES:
        raise _unknown(value, array)
    return array


def _unknown(value: object, array: NDArray[Any] | None = None) -> InputError:
    what = type(value).__name__
    if array is not None and array.dtype != object:
        what += f" of {array.dtype.name}"
    return InputError(
        f"cannot publish a {what}; expected numbers, texts, arrays, or lists and dicts of these"
    )


def decode(node: object) -> Value:
    """Return the value that `node` describes, or refuse it; `node` may come from an attacker.

    Raises
    ------
    InputError
        When it is not exactly what `encode` returns.
    """
    return _Decoder().value(node, 0)


class _Decoder:
    def __init__(self) -> None:
        self.room = MAX_NUMBERS
        self.items = MAX_ITEMS

    def value(self, node: object, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise _malformed("nested too deep")
        if type(node) is not dict or type(kind := node.get("kind")) is not str:
            raise _malformed("no kind")
        if kind == "none" and set(node) == {"kind"}:
            return None
        if kind == "text" and set(node) == {"kind", "text"}:
            return self._text(node["text"], MAX_TEXT)
        if kind == "sequence" and set(node) == {"kind", "items"}:
            return [self.value(item, depth + 1) for item in self._list(node["items"])]
        if kind == "mapping" and set(node) == {"kind", "items"}:
            return self._mapping(node["items"], depth)
        if kind == "array" and set(node) == {"kind", "dtype", "shape", "data"}:
            return self._array(node["dtype"], node["shape"], node["data"])
        raise _malformed("unknown kind or keys")

    def _list(self, items: object) -> list[Any]:
        if type(items) is not list:
            raise _malformed("items are no list")
        self.items -= len(items)
        if self.items < 0:
            raise _malformed("too many items")
        return items

    @staticmethod
    def _text(text: object, longest: int) -> str:
        if type(text) is not str or len(text) > longest:
            raise _malformed("text too long or no text")
        return text

    def _mapping(self, items: object, depth: int) -> dict[str, Any]:
        mapping = {}
        for pair in self._list(items):
            if type(pair) is not list or len(pair) != 2:
                raise _malformed("a pair of a mapping has not two members")
            key = self._text(pair[0], MAX_NAME)
            if key in mapping:
                raise _malformed("a key occurs twice")
            mapping[key] = self.value(pair[1], depth + 1)
        return mapping

    def _array(self, dtype: object, shape: object, data: object) -> NDArray[Any]:
        if type(dtype) is not str or dtype not in DTYPES:
            raise _malformed("unknown dtype")
        if type(shape) is not list or len(shape) > MAX_AXES or type(data) is not list:
            raise _malformed("no shape or no data")
        if any(type(length) is not int or not 0 <= length <= MAX_NUMBERS for length in shape):
            raise _malformed("an impossible shape")
        self.room -= len(data)
        if self.room < 0 or math.prod(shape) != len(data):
            raise _malformed("too many numbers, or not as many as the shape says")
        return np.array(_numbers(data, dtype), dtype=dtype).reshape(shape)


def _numbers(data: list[Any], dtype: str) -> list[Any]:
    """Check every entry of an array against its dtype; a float may be one of three words."""
    if dtype == "bool":
        accepted = all(type(number) is bool for number in data)
    elif dtype in INTEGERS:
        limits = np.iinfo(dtype)
        accepted = all(type(number) is int and limits.min <= number <= limits.max for number in data)
    else:
        data = [NOT_FINITE.get(number, number) if type(number) is str else number for number in data]
        data = [
            float(number) if type(number) is int and abs(number) < 2**64 else number for number in data
        ]
        largest = float(np.finfo(dtype).max)
        accepted = all(
            type(number) is float and (not math.isfinite(number) or abs(number) <= largest)
            for number in data
        )
    if not accepted:
        raise _malformed(f"entries that are no {dtype}")
    return data


def _malformed(why: str) -> InputError:
    return InputError(f"what was published is not a value of this course: {why}")


def describe(value: Value, longest: int = 160) -> str:
    """Say in one line what `value` is: its type, shape and first numbers.

    >>> describe(np.float32([[1, 2.5]]))
    'float32 array of shape (1, 2): 1.0, 2.5'
    """
    text = _describe(value)
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _describe(value: Value) -> str:
    if value is None:
        return "None"
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{key}: {_describe(item)}" for key, item in list(value.items())[:8]) + "}"
        )
    if isinstance(value, list):
        return f"list of {len(value)}: [" + ", ".join(_describe(item) for item in value[:8]) + "]"
    if value.ndim == 0:
        return _number(value[()])
    first = ", ".join(_number(number) for number in value.ravel()[:8])
    return f"{value.dtype.name} array of shape {value.shape}: {first}" + (
        ", …" if value.size > 8 else ""
    )


def _number(number: Any) -> str:
    """Return a short text that keeps a float apart from an integer."""
    if isinstance(number, np.floating):
        text = f"{float(number):.6g}"
        return text + ".0" if text.lstrip("-").isdigit() else text
    return str(number)
