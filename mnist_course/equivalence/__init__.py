"""One network in three frameworks: its weights carried over, its gradients compared.

Every conversion passes through the NumPy wing's `Sequential`, whose layout `layouts` describes; so
there is one reader and one writer for each framework and not one for each pair.
Importing this imports NumPy only; a framework is loaded when a model of it is asked for.

The chapter that uses it: chapters/08_one_network_three_ways.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mnist_course.data import scale
from mnist_course.equivalence import in_numpy
from mnist_course.equivalence.layouts import Gradients, flatten_order
from mnist_course.errors import InputError
from mnist_course.models import FRAMEWORKS, wing
from mnist_course.scratch.arrays import FLOATS, FloatArray, IntArray
from mnist_course.scratch.network import Sequential

__all__ = ["Gradients", "convert", "flatten_order", "framework_of", "gradients", "logits"]


def convert(
    model: Any,
    to: str,
    *,
    input_shape: tuple[int, ...] = (28, 28, 1),
    dtype: DTypeLike | None = None,
) -> Any:
    """Carry a network, weights and all, to another framework.

    What is carried: convolutions with stride, dilation and any zero padding, dense layers, max and
    average pooling, ReLU, sigmoid, tanh, dropout, flattening, and batch normalisation with its running
    statistics, momentum and epsilon. What is not: the optimizer's state and which layers are frozen.

    Parameters
    ----------
    model
        A network of the course or one of your own: a `mnist_course.scratch.Sequential`, a
        `keras.Sequential` or functional model, or a `torch.nn.Module` whose ``forward`` calls one
        layer (or function, as ``relu``) after the other.
    to
        ``"numpy"``, ``"keras"`` (on the backend that ``KERAS_BACKEND`` chose when Keras was imported)
        or ``"pytorch"``; the framework it comes from gives a copy.
    input_shape
        (rows, columns, channels) of one image, channels last; used only where the model doesn't know
        it itself, as a PyTorch module never does.
    dtype
        ``"float32"`` or ``"float64"``; by default the model's own.

    Returns
    -------
    model
        A new network that shares no memory with the old one. A network of the course becomes the same
        network of the course, anything else a `Sequential` of that framework.

    Raises
    ------
    InputError
        The framework is unknown or not installed, or a layer has no counterpart; the message names it.

    Notes
    -----
    Outputs and gradients are the same function of the weights. What remains different is not in them:

    - Keras averages a batch's variance (divisor n) into the running one, PyTorch and the NumPy wing the
      unbiased estimate (divisor n - 1), so after training steps the running variances differ.
    - Keras's Adam adds epsilon before the bias correction of the second moment, the others after it.
    - On its PyTorch backend Keras 3 multiplies float64 matrices in float32 (its issue 23704).

    >>> from mnist_course import scratch
    >>> twice = convert(scratch.lenet5(seed=0), to="numpy", dtype="float64")
    >>> twice.parameters()["0.kernels"].dtype
    dtype('float64')
    """
    source = framework_of(model)
    if to not in FRAMEWORKS:
        raise InputError(f"unknown framework {to!r}; choose one of {', '.join(FRAMEWORKS)}")
    if dtype is not None and np.dtype(dtype) not in FLOATS:
        raise InputError(f"dtype is {np.dtype(dtype)}, expected float32 or float64")
    _room(source).dtype_of(model)  # refuses half precision
    network: Sequential = _room(source).read(model, tuple(input_shape))
    return _room(to).write(in_numpy.write(network, dtype))


def logits(model: Any, images: NDArray[Any]) -> FloatArray:
    """Return a network's outputs in evaluation mode, in the network's own precision.

    Parameters
    ----------
    model
        Of any framework.
    images
        uint8 (N, H, W), scaled here to [0, 1], or floats (N, H, W, C), taken as they are.

    Returns
    -------
    array (N, K)
    """
    room = _room(framework_of(model))
    outputs: FloatArray = room.logits(model, _inputs(images, room.dtype_of(model)))
    return outputs


def gradients(model: Any, images: NDArray[Any], labels: IntArray) -> Gradients:
    """Return a network's outputs, loss and the gradient of every parameter for one training batch.

    Parameters
    ----------
    model
        Of any framework. It is left as it was: no weight moves and no running statistic.
    images
        As in `logits`.
    labels
        Integer (N,).

    Returns
    -------
    Gradients
        `logits` (N, K), `loss` in nats, and `parameters`: gradients under the names and in the layout
        of the NumPy wing, ``"0.kernels"`` (kh, kw, C, O) and so on, whatever the framework.

    Raises
    ------
    InputError
        A layer is not supported, or is frozen (Keras).

    Notes
    -----
    Batch normalisation uses the batch's statistics, as in training. Dropout is left out, because every
    framework draws its own masks.
    """
    if len(images) != len(labels) or not len(labels):
        raise InputError(f"{len(images)} images came with {len(labels)} labels; expected one label each")
    room = _room(framework_of(model))
    found: Gradients = room.gradients(
        model, _inputs(images, room.dtype_of(model)), np.asarray(labels).astype(np.int64)
    )
    return found


def framework_of(model: Any) -> str:
    """Return the framework that a model belongs to: ``"numpy"``, ``"keras"`` or ``"pytorch"``.

    Raises
    ------
    InputError
        It is no model of the three.
    """
    if isinstance(model, Sequential):
        return "numpy"
    ancestors = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(model).__mro__}
    # in this order: on the torch backend a Keras model is a torch module as well
    for framework, ancestor in (("keras", ("keras", "Model")), ("pytorch", ("torch", "Module"))):
        if ancestor in ancestors:
            return framework
    raise InputError(
        f"a {type(model).__name__} came; expected a mnist_course.scratch.Sequential, a keras.Model"
        " or a torch.nn.Module"
    )


def _room(framework: str) -> Any:
    """Import the reader and writer of a framework, or say that the framework is not installed."""
    if framework != "numpy":
        wing(framework, "models")
    return import_module(f"mnist_course.equivalence.in_{framework}")


def _inputs(images: NDArray[Any], dtype: DTypeLike) -> FloatArray:
    if images.dtype == np.uint8:
        images = scale(images)
        images = images[..., np.newaxis] if images.ndim == 3 else images  # (N, H, W) -> (N, H, W, 1)
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"images have dtype {images.dtype}, expected uint8 or floats in [0, 1]")
    return np.ascontiguousarray(images, dtype)
