"""`Layer`: what every layer and every network of layers offers.

`forward(x, training=True)` remembers what `backward(d_out)` needs; `backward` stores the
gradients of the parameters and returns the gradient of the input. Images are (N, H, W, C).
"""

from __future__ import annotations

from mnist_course.scratch.arrays import FloatArray

Shape = tuple[int, ...]


class Layer:
    """What every layer offers; a layer without parameters overrides only two methods."""

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Return the output for a batch; with `training`, remember what `backward` needs."""
        raise NotImplementedError

    def backward(self, d_out: FloatArray) -> FloatArray:
        """Store the parameters' gradients and return the input's, given the output's."""
        raise NotImplementedError

    def backward_parameters(self, d_out: FloatArray) -> None:
        """Store the parameters' gradients only: all that a network's first layer needs."""
        self.backward(d_out)

    def parameters(self) -> dict[str, FloatArray]:
        """Return what training changes, by name; the arrays themselves, not copies."""
        return {}

    def gradients(self) -> dict[str, FloatArray]:
        """Return the gradients of the last `backward`, under the names of `parameters`."""
        return {}

    def buffers(self) -> dict[str, FloatArray]:
        """Return what is saved with the parameters but not trained, by name."""
        return {}

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of one example's output, given that of its input."""
        return input_shape

    def multiply_adds(self, input_shape: Shape) -> int:
        """Count the multiplications that the forward pass of one example needs."""
        return 0

    def _remembered(self, x: FloatArray | None) -> FloatArray:
        if x is None:
            raise ValueError(
                f"{type(self).__name__}.backward has nothing to go back through; "
                "call forward(x, training=True) first"
            )
        return x
