"""Sizes: how stride, padding and dilation decide the shape of a convolution's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from mnist_course.scratch.arrays import Pair

Padding: TypeAlias = int | str | Sequence[Sequence[int]]


class Geometry(NamedTuple):
    """A convolution with every size spelled out: (rows, columns) everywhere."""

    stride: Pair
    dilation: Pair
    padding: tuple[Pair, Pair]  # ((top, bottom), (left, right))
    output: Pair

    def tap(self, p: int, q: int) -> tuple[slice, slice]:
        """Return the rows and columns of the image that kernel entry (p, q) meets."""
        rows, columns = (
            slice(k * d, k * d + (count - 1) * s + 1, s)
            for k, d, s, count in zip((p, q), self.dilation, self.stride, self.output, strict=True)
        )
        return rows, columns

    @property
    def is_padded(self) -> bool:
        """Whether any row or column of zeros is added."""
        return any(amount for side in self.padding for amount in side)


def pair(name: str, value: int | Sequence[int], minimum: int = 1) -> Pair:
    """Return `value` as (rows, columns), both at least `minimum`.

    >>> pair("stride", 2)
    (2, 2)
    """
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2 or not all(_is_count(item, minimum) for item in both):
        raise ValueError(
            f"{name} is {value!r}, expected an integer of at least {minimum} or a pair of them"
        )
    return int(both[0]), int(both[1])


def output_size(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    r"""Count the positions of a dilated kernel on one padded axis.

    :math:`\lfloor (n + p_0 + p_1 - d (k - 1) - 1) / s \rfloor + 1`
    (Dumoulin and Visin 2016, relationship 15).

    >>> output_size(28, kernel=5, stride=1, padding=(2, 2), dilation=1)
    28
    """
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> Pair:
    """Return the (before, after) zeros that give ceil(size / stride) outputs.

    This is TensorFlow's and Keras' rule: an odd total puts the extra zero after.

    >>> same_padding(28, kernel=4, stride=1, dilation=1)
    (1, 2)
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def resolve(
    image_size: Pair,
    kernel_size: Pair,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
) -> Geometry:
    """Turn every accepted spelling of the options into a `Geometry`.

    Raises
    ------
    ValueError
        When stride or dilation is below 1, padding is negative or unknown, or the dilated
        kernel is larger than the padded image.
    """
    strides, dilations = pair("stride", stride), pair("dilation", dilation)
    padded = _resolve_padding(image_size, kernel_size, strides, padding, dilations)
    output = (
        output_size(image_size[0], kernel_size[0], strides[0], padded[0], dilations[0]),
        output_size(image_size[1], kernel_size[1], strides[1], padded[1], dilations[1]),
    )
    if min(output) < 1:
        reach = tuple(d * (k - 1) + 1 for d, k in zip(dilations, kernel_size, strict=True))
        room = tuple(n + sum(p) for n, p in zip(image_size, padded, strict=True))
        raise ValueError(
            f"the kernel covers {reach[0]}x{reach[1]} pixels but the padded image has only "
            f"{room[0]}x{room[1]}; use a smaller kernel or dilation, or more padding"
        )
    return Geometry(strides, dilations, padded, output)


def _resolve_padding(
    image_size: Pair, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> tuple[Pair, Pair]:
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding == "same":
            rows, columns = (
                same_padding(image_size[axis], kernel_size[axis], stride[axis], dilation[axis])
                for axis in (0, 1)
            )
            return rows, columns
    elif _is_count(padding, 0):
        return _sides(padding), _sides(padding)
    elif isinstance(padding, Sequence) and len(padding) == 2:
        return _sides(padding[0]), _sides(padding[1])
    raise ValueError(
        f"padding is {padding!r}, expected an integer >= 0, 'same', 'valid' "
        "or ((top, bottom), (left, right))"
    )


def _sides(sides: Any) -> Pair:
    return pair("padding", sides, minimum=0)


def _is_count(value: Any, minimum: int) -> bool:
    # bool is an int in Python, but True is no stride; NumPy integers are welcome.
    return not isinstance(value, bool) and hasattr(value, "__index__") and int(value) >= minimum
