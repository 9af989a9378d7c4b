"""The networks of the course as Keras models.

All of them take float32 images of shape (N, 28, 28, 1) in [0, 1] and return logits of shape (N, 10).
Logits, where tutorials put a softmax: the loss can then be computed without overflow
(``from_logits=True``), and the outputs compare directly with the other wings'.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from keras import layers

from mnist_course.errors import InputError


def _sequential(name: str, seed: int, *stack: keras.Layer) -> keras.Sequential:
    """Chain the layers behind a (28, 28, 1) input."""
    model = keras.Sequential([keras.Input((28, 28, 1)), *stack], name=name)
    _draw_kernels(model, seed)
    return model


def _draw_kernels(model: keras.Model, seed: int) -> None:
    """Give every kernel its own seed; the global random state is left as it was."""
    for index, layer in enumerate(model.layers):
        if hasattr(layer, "kernel"):
            initializer = keras.initializers.GlorotUniform(seed=1000 * seed + index)
            layer.kernel.assign(initializer(layer.kernel.shape))


def lenet5(*, seed: int = 0) -> keras.Sequential:
    """LeNet-5 as it is taught today: ReLU and max pooling, 61,706 parameters.

    The first convolution pads by 2 on every side, which ``"same"`` does for a 5×5 kernel.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998.
    """
    return _sequential(
        "lenet5",
        seed,
        layers.Conv2D(6, 5, padding="same", activation="relu"),  # (N, 28, 28, 6)
        layers.MaxPooling2D(2),  # (N, 14, 14, 6)
        layers.Conv2D(16, 5, activation="relu"),  # (N, 10, 10, 16)
        layers.MaxPooling2D(2),  # (N, 5, 5, 16)
        layers.Flatten(),
        layers.Dense(120, activation="relu"),
        layers.Dense(84, activation="relu"),
        layers.Dense(10),
    )


def simple_cnn(*, seed: int = 0) -> keras.Sequential:
    """Two 5×5 convolutions with 10 and 20 channels and one hidden layer, 21,840 parameters."""
    return _sequential(
        "simple_cnn",
        seed,
        layers.Conv2D(10, 5, activation="relu"),  # (N, 24, 24, 10)
        layers.MaxPooling2D(2),  # (N, 12, 12, 10)
        layers.Conv2D(20, 5, activation="relu"),  # (N, 8, 8, 20)
        layers.MaxPooling2D(2),  # (N, 4, 4, 20)
        layers.Flatten(),
        layers.Dense(50, activation="relu"),
        layers.Dense(10),
    )


def dense_cnn(*, seed: int = 0) -> keras.Sequential:
    """Two 3×3 convolutions with 32 and 64 channels and a dense layer of 128, 225,034 parameters."""
    return _sequential(
        "dense_cnn",
        seed,
        layers.Conv2D(32, 3, activation="relu"),  # (N, 26, 26, 32)
        layers.MaxPooling2D(2),  # (N, 13, 13, 32)
        layers.Conv2D(64, 3, activation="relu"),  # (N, 11, 11, 64)
        layers.MaxPooling2D(2),  # (N, 5, 5, 64)
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    )


def small_cnn(*, seed: int = 0) -> keras.Sequential:
    """`dense_cnn` without its dense layer, 34,826 parameters."""
    return _sequential(
        "small_cnn",
        seed,
        layers.Conv2D(32, 3, activation="relu"),  # (N, 26, 26, 32)
        layers.MaxPooling2D(2),  # (N, 13, 13, 32)
        layers.Conv2D(64, 3, activation="relu"),  # (N, 11, 11, 64)
        layers.MaxPooling2D(2),  # (N, 5, 5, 64)
        layers.Flatten(),
        layers.Dense(10),
    )


def single_conv_cnn(*, seed: int = 0) -> keras.Sequential:
    """One 3×3 convolution with 32 channels and a dense layer of 128, 693,962 parameters."""
    return _sequential(
        "single_conv_cnn",
        seed,
        layers.Conv2D(32, 3, activation="relu"),  # (N, 26, 26, 32)
        layers.MaxPooling2D(2),  # (N, 13, 13, 32)
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    )


VGG16_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
"""What Keras downloads where it can."""


def vgg16_transfer(
    weights: str | os.PathLike[str] | None = "imagenet", *, size: int = 64, seed: int = 0
) -> keras.Model:
    """VGG16's frozen convolutions with a new ten-class head, for 28×28 grey digits.

    The network was trained on large colour photographs, so the digits are brought to what it knows
    inside the model: enlarged to `size`, the grey channel repeated three times, and preprocessed as
    VGG16's training images were (0…255, blue-green-red order, channel means subtracted).

    Parameters
    ----------
    weights
        ``"imagenet"``, a local file of VGG16 weights without the top, or ``None`` for random ones.
    size
        Side in pixels after enlarging, at least 32; 224 is what VGG16 was trained with.
    seed
        Fixes the new head's weights (and with ``weights=None`` the others').

    Raises
    ------
    InputError
        The weights are not there, and the message says which file to put where; the file holds
        something else; or too small a size.

    References
    ----------
    Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, 2015.
    """
    if size < 32:
        raise InputError(
            f"size is {size}; VGG16 halves an image five times and needs at least 32 pixels"
        )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Skipping")  # a layer would keep its random weights
            base = keras.applications.VGG16(
                weights=None if weights is None else os.fspath(weights),
                include_top=False,
                input_shape=(size, size, 3),
            )
    except Exception as error:  # Keras reports a failed download, a missing and a wrong file differently
        if weights == "imagenet":
            raise InputError(
                f"VGG16's ImageNet weights cannot be had here; put the file {VGG16_FILE} into the folder"
                " models of KERAS_HOME (~/.keras/models), or pass its path as weights"
            ) from error
        reason = "does not hold" if Path(weights or "").is_file() else "does not exist; expected"
        raise InputError(
            f"{weights} {reason} the weights of VGG16 without its top; pass the path of {VGG16_FILE}"
        ) from error
    if weights is None:
        _draw_kernels(base, seed)
    base.trainable = False
    digits = keras.Input((28, 28, 1))
    x = layers.Rescaling(255.0)(digits)
    x = layers.Resizing(size, size)(x)
    x = layers.Concatenate()([x, x, x])  # (N, size, size, 3)
    # grey: the three channels are equal, so only their means differ after reordering to BGR
    x = layers.Normalization(mean=[103.939, 116.779, 123.68], variance=[1.0, 1.0, 1.0])(x)
    x = base(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)  # (N, 512)
    head = layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(seed=seed))
    return keras.Model(digits, head(x), name="vgg16_transfer")


MODELS: dict[str, Callable[..., Any]] = {
    "lenet5": lenet5,
    "simple_cnn": simple_cnn,
    "dense_cnn": dense_cnn,
    "small_cnn": small_cnn,
    "single_conv_cnn": single_conv_cnn,
}


def build(name: str, *, seed: int = 0) -> keras.Model:
    """Build a network by name; its weights depend on `seed` alone.

    Raises
    ------
    InputError
        The name is unknown.
    """
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; choose one of {', '.join(MODELS)}")
    return MODELS[name](seed=seed)
