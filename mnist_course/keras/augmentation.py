"""The same random alterations as Keras layers, to be put before a network or used on arrays.

Rotation, zoom and shift are Keras's own layers, which draw per image; `layers` converts their units.
Elastic distortion is a layer of our own: in Keras 3.15 `RandomElasticTransform` draws one strength for
the whole batch, smooths over at most 1.4 pixels in images this small, and on TensorFlow draws the
displacements down and to the right from the same seed, so that pixels move along one diagonal only.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mnist_course.augmentation import SIDE, Augmentation, smoothing_matrix
from mnist_course.errors import InputError


def layers(augmentation: Augmentation, *, seed: int = 0) -> list[keras.Layer]:
    """Return the Keras layers that alter images (N, 28, 28, 1) at random, each image its own way.

    They act in training (``training=True``) and pass images through otherwise. Each of them resamples
    bilinearly, which blurs thin strokes a little more than PyTorch's single resampling does.

    Parameters
    ----------
    augmentation
        How far; what is zero in it gets no layer. Keras counts rotations in full turns, shifts in image
        sizes, and zoom as the size of the region that is shown: 1 / (1 + zoom) for an enlarged image.
    seed
        Fixes all random numbers.

    Examples
    --------
    >>> [layer.name for layer in layers(Augmentation(zoom=0))]
    ['rotation', 'shift']
    """
    seeds = [int(value) for value in np.random.SeedSequence(seed).generate_state(4) // 2]
    outside: dict[str, Any] = {"fill_mode": "constant", "fill_value": 0.0}  # mirrored ink by default
    chain: list[keras.Layer] = []
    if augmentation.rotation:
        turns = augmentation.rotation / 360
        chain.append(keras.layers.RandomRotation(turns, seed=seeds[0], name="rotation", **outside))
    if augmentation.zoom:
        shown = (1 / (1 + augmentation.zoom) - 1, 1 / (1 - augmentation.zoom) - 1)
        chain.append(keras.layers.RandomZoom(shown, seed=seeds[1], name="zoom", **outside))
    if augmentation.shift:
        share = augmentation.shift / SIDE
        chain.append(
            keras.layers.RandomTranslation(share, share, seed=seeds[2], name="shift", **outside)
        )
    if augmentation.elastic is not None:
        chain.append(ElasticDistortion(*augmentation.elastic, seed=seeds[3], name="elastic"))
    return chain


class ElasticDistortion(keras.layers.Layer):
    """Displace each pixel at random, its neighbours about as far: Simard's elastic distortion.

    Parameters
    ----------
    alpha, sigma
        In pixels, as in `mnist_course.augmentation.Augmentation`.
    seed
        Fixes the random numbers.
    options
        Passed to ``keras.layers.Layer``, for example ``name``.
    """

    def __init__(self, alpha: float, sigma: float, *, seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha, self.sigma, self.seed = alpha, sigma, seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Distort images (N, H, H, 1) in training."""
        if not training:
            return images
        count, side = keras.ops.shape(images)[0], images.shape[1]
        noise = keras.random.uniform((count, 2, side, side), -1.0, 1.0, seed=self.generator)
        smooth = keras.ops.convert_to_tensor(smoothing_matrix(self.sigma, side))
        field = keras.ops.matmul(
            keras.ops.matmul(smooth, self.alpha * noise), keras.ops.transpose(smooth)
        )
        return displace(images, keras.ops.transpose(field, (0, 2, 3, 1)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "sigma": self.sigma,
            "seed": self.seed,
        }


def displace(images: Any, displacement: Any) -> Any:
    """Take each pixel's value from a displaced position, bilinearly; outside lies background, 0.

    Parameters
    ----------
    images
        Shape (N, H, W, 1).
    displacement
        Shape (N, H, W, 2): how much further right and down, in pixels.

    Returns
    -------
    tensor
        Shape (N, H, W, 1).
    """
    count = keras.ops.shape(images)[0]
    height, width = images.shape[1:3]
    padded = keras.ops.pad(images[..., 0], ((0, 0), (1, 1), (1, 1)))  # a border of background
    row, top = _split(displacement[..., 1] + keras.ops.arange(height, dtype="float32")[:, None], height)
    column, left = _split(displacement[..., 0] + keras.ops.arange(width, dtype="float32"), width)
    starts = keras.ops.arange(count, dtype="int32") * ((height + 2) * (width + 2))
    corner = keras.ops.reshape(starts, (-1, 1, 1)) + top * (width + 2) + left
    pixels = keras.ops.reshape(padded, (-1,))
    upper, lower = (
        (1 - column) * keras.ops.take(pixels, corner + down)
        + column * keras.ops.take(pixels, corner + down + 1)
        for down in (0, width + 2)
    )
    return ((1 - row) * upper + row * lower)[..., None]


def _split(positions: Any, length: int) -> tuple[Any, Any]:
    """Split positions on an axis into the part behind the point and the index, one border in."""
    inside = keras.ops.clip(positions, -1, length) + 1
    index = keras.ops.minimum(keras.ops.floor(inside), length)
    return inside - index, keras.ops.cast(index, "int32")


def augment(
    images: NDArray[np.float32], augmentation: Augmentation, *, seed: int, batch_size: int = 2000
) -> NDArray[np.float32]:
    """Alter every image of an array at random.

    Parameters
    ----------
    images
        float32, shape (N, 28, 28, 1).
    augmentation
        How far.
    seed
        The same seed, images and batch size give the same result.
    batch_size
        Images that are altered in one call, which only memory depends on.

    Returns
    -------
    ndarray
        float32, shape (N, 28, 28, 1).

    Raises
    ------
    InputError
        Images of another shape.
    """
    if images.ndim != 4 or images.shape[1:] != (SIDE, SIDE, 1):
        raise InputError(f"images have shape {images.shape}; expected (N, {SIDE}, {SIDE}, 1)")
    chain = layers(augmentation, seed=seed)
    altered = np.empty_like(images)
    for start in range(0, len(images), batch_size):
        batch: Any = images[start : start + batch_size]
        for layer in chain:
            batch = layer(batch, training=True)
        altered[start : start + batch_size] = keras.ops.convert_to_numpy(batch)
    return altered


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of one epoch's alterations, so that a resumed run sees the same images."""
    return int(np.random.SeedSequence([seed, epoch, 1]).generate_state(1)[0])
