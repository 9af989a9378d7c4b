"""`Sequential`: layers in a row, trained, measured, saved and loaded as one network.

The chapter that trains one: chapters/05_cnn_from_scratch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mnist_course.data.batches import require_digits, require_scaled
from mnist_course.files import atomic_write
from mnist_course.scratch import fused, npz
from mnist_course.scratch.arrays import FloatArray, require_finite, require_float
from mnist_course.scratch.layers import Layer, Shape

if TYPE_CHECKING:
    from mnist_course.data import ImageDataset
    from mnist_course.evaluation import Evaluation
    from mnist_course.history import History


class Sequential(Layer):
    """Layers in a row; itself a layer.

    Parameters
    ----------
    layers : iterable of Layer
        Applied in this order.
    input_shape : tuple of int, optional
        Shape of one example, say (28, 28, 1). With it, a network whose layers don't fit each
        other is refused here, and a batch of another shape in `forward`.
    name : str
        What `summary` calls it.
    fuse : bool
        Compute convolution, ReLU and max pooling together where that is faster: see `fused`.
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        input_shape: Shape | None = None,
        *,
        name: str = "sequential",
        fuse: bool = True,
    ) -> None:
        self.layers = tuple(layers)
        self.input_shape = input_shape
        self.name = name
        if not self.layers:
            raise ValueError("a network needs at least one layer")
        if input_shape is not None:
            self.output_shape(input_shape)
        self._steps = fused.plan(self.layers) if fuse else list(self.layers)

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Return the network's output, logits for a classifier, for a batch (N, ...)."""
        require_float("images", x)
        if self.input_shape is not None:
            require_digits(x.shape, self.input_shape)
        require_finite("images", x)
        if self.input_shape == (28, 28, 1):
            require_scaled(x)
        for step in self._steps:
            x = step.forward(x, training)
        return x

    def backward(self, d_out: FloatArray) -> FloatArray:
        """Store every layer's gradients and return the input's, given the output's."""
        for step in reversed(self._steps):
            d_out = step.backward(d_out)
        return d_out

    def backward_parameters(self, d_out: FloatArray) -> None:
        """Store every layer's gradients; saves what the input's gradient would cost."""
        for step in reversed(self._steps[1:]):
            d_out = step.backward(d_out)
        self._steps[0].backward_parameters(d_out)

    def parameters(self) -> dict[str, FloatArray]:
        """Return all parameters as "0.kernels", "0.bias", ...; the arrays themselves."""
        return self._named("parameters")

    def gradients(self) -> dict[str, FloatArray]:
        """Return all gradients of the last `backward`, under the parameters' names."""
        return self._named("gradients")

    def buffers(self) -> dict[str, FloatArray]:
        """Return the running statistics of batch normalisation, named as the parameters."""
        return self._named("buffers")

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of one example's output; raise ValueError where layers don't fit."""
        for index, layer in enumerate(self.layers):
            try:
                input_shape = layer.output_shape(input_shape)
            except ValueError as error:
                raise ValueError(f"layer {index}: {error}") from None
        return input_shape

    def multiply_adds(self, input_shape: Shape) -> int:
        """Count the multiplications of one example's forward pass."""
        total = 0
        for layer in self.layers:
            total += layer.multiply_adds(input_shape)
            input_shape = layer.output_shape(input_shape)
        return total

    def summary(self) -> str:
        """Return a table: layer, output shape, parameters, multiply-adds for one example."""
        if self.input_shape is None:
            raise ValueError("summary needs Sequential(..., input_shape=(rows, columns, channels))")
        shape, rows = self.input_shape, []
        for index, layer in enumerate(self.layers):
            work = layer.multiply_adds(shape)
            shape = layer.output_shape(shape)
            size = sum(parameter.size for parameter in layer.parameters().values())
            rows.append((f"{index} {type(layer).__name__}", str(shape), f"{size:,}", f"{work:,}"))
        total = sum(parameter.size for parameter in self.parameters().values())
        rows.append((self.name, "", f"{total:,}", f"{self.multiply_adds(self.input_shape):,}"))
        head = ("layer", "output shape", "parameters", "multiply-adds")
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
        lines = [
            f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}"
            for row in [head, *rows]
        ]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def fit(
        self, train: ImageDataset, validation: ImageDataset | None = None, **options: Any
    ) -> History:
        """Train on `train`; options as in `mnist_course.scratch.training.fit`."""
        from mnist_course.scratch import training

        return training.fit(self, train, validation, **options)

    def evaluate(self, dataset: ImageDataset, **options: Any) -> Evaluation:
        """Measure on `dataset`; options as in `mnist_course.scratch.training.evaluate`."""
        from mnist_course.scratch import training

        return training.evaluate(self, dataset, **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and buffers to `path` as .npz, whole or not at all."""
        with atomic_write(path) as temporary:
            npz.write(temporary, self.state())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read parameters and buffers that `save` wrote, into these layers.

        Pickled objects are refused, so a file from a stranger cannot run code.

        Raises
        ------
        InputError
            A ValueError: the file is missing, truncated, holds pickles, or has other names or
            shapes than this network. Nothing has been changed then.
        """
        npz.assign(self.state(), npz.read(path), path, self.name)

    def state(self) -> dict[str, FloatArray]:
        """Return parameters and buffers: all that evaluation needs."""
        return self.parameters() | self.buffers()

    def _named(self, kind: str) -> dict[str, FloatArray]:
        return {
            f"{index}.{name}": array
            for index, layer in enumerate(self.layers)
            for name, array in getattr(layer, kind)().items()
        }
