"""Damage to images and labels, and its repair: noise, missing pixels, wrong labels. See chapter 1.

Images are float32 in [0, 1] (`mnist_course.data.scale` makes them); a missing pixel is NaN. Every
random function takes a seed and returns a new array.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError

Method = Literal["zero", "mean", "neighbours"]
Images = NDArray[np.float32]


def _checked(images: NDArray[Any]) -> Images:
    if images.ndim != 3 or not np.issubdtype(images.dtype, np.floating):
        raise InputError(
            f"images are {images.dtype} of shape {images.shape}; expected floats of shape (N, H, W)"
            " in [0, 1]: pass mnist_course.data.scale(images)"
        )
    outside = images[(images < 0) | (images > 1)]  # a missing pixel, NaN, is neither
    if outside.size:
        raise InputError(
            f"{outside.size} pixels lie outside [0, 1], {outside[0]:g} for one:"
            " pass mnist_course.data.scale(images)"
        )
    return images.astype(np.float32, copy=False)


def _check_fraction(fraction: float) -> None:
    if not 0 <= fraction <= 1:
        raise InputError(f"fraction is {fraction}; expected a number from 0 to 1")


def add_gaussian_noise(images: NDArray[Any], sigma: float, *, seed: int) -> Images:
    """Add independent normal noise to every pixel and clip to [0, 1].

    Parameters
    ----------
    images
        Shape (N, H, W), in [0, 1].
    sigma
        Standard deviation, in units where ink is 1.
    seed
        The same seed gives the same noise.

    Raises
    ------
    InputError
        Not images in [0, 1], or a negative `sigma`.
    """
    clean = _checked(images)
    if not sigma >= 0:
        raise InputError(f"sigma is {sigma}; expected a number that is not negative")
    noise = np.random.default_rng(seed).standard_normal(clean.shape, dtype=np.float32)
    return np.clip(clean + np.float32(sigma) * noise, 0, 1)


def add_salt_and_pepper(images: NDArray[Any], fraction: float, *, seed: int) -> Images:
    """Set about `fraction` of the pixels to 0 or to 1, each with the same chance.

    Parameters
    ----------
    images
        Shape (N, H, W), in [0, 1]. The result is float32 of the same shape.
    fraction
        Share of the pixels that lose their value.
    seed
        The same seed gives the same noise.

    Raises
    ------
    InputError
        Not images in [0, 1], or `fraction` outside [0, 1].
    """
    clean = _checked(images)
    _check_fraction(fraction)
    chance = np.random.default_rng(seed).random(clean.shape, dtype=np.float32)
    noisy = np.where(chance < fraction / 2, np.float32(0), clean)
    return np.where((chance >= fraction / 2) & (chance < fraction), np.float32(1), noisy)


def drop_pixels(images: NDArray[Any], fraction: float, *, seed: int) -> Images:
    """Make about `fraction` of the pixels missing (NaN), independently of their values.

    Parameters
    ----------
    images
        Shape (N, H, W), in [0, 1]. The result is float32 of the same shape.
    fraction
        Share of the pixels that go missing.
    seed
        The same seed drops the same pixels.

    Raises
    ------
    InputError
        Not images in [0, 1], or `fraction` outside [0, 1].
    """
    clean = _checked(images)
    _check_fraction(fraction)
    dropped = np.random.default_rng(seed).random(clean.shape, dtype=np.float32) < fraction
    return np.where(dropped, np.float32(np.nan), clean)


def drop_patch(images: NDArray[Any], size: int, *, seed: int) -> Images:
    """Make one square of ``size × size`` pixels missing (NaN) in every image, anywhere inside it.

    Parameters
    ----------
    images
        Shape (N, H, W), in [0, 1]. The result is float32 of the same shape.
    size
        Side of the square in pixels; every place inside the image is equally likely.
    seed
        The same seed drops the same squares.

    Raises
    ------
    InputError
        Not images in [0, 1], or a square that does not fit.
    """
    damaged = _checked(images).copy()
    count, height, width = damaged.shape
    if not 0 <= size <= min(height, width):
        raise InputError(f"a patch of {size} pixels does not fit an image of {height}×{width}")
    rng = np.random.default_rng(seed)
    top = rng.integers(0, height - size + 1, count)[:, None, None]
    left = rng.integers(0, width - size + 1, count)[:, None, None]
    rows, columns = np.arange(height)[:, None], np.arange(width)  # (H, 1), (W,)
    inside = (rows >= top) & (rows < top + size) & (columns >= left) & (columns < left + size)
    damaged[inside] = np.nan  # inside: (N, H, W)
    return damaged


def impute(images: NDArray[Any], method: Method, *, reference: NDArray[Any] | None = None) -> Images:
    """Fill in missing pixels.

    Parameters
    ----------
    images
        Shape (N, H, W), in [0, 1], NaN where missing.
    method
        ``"zero"``: background. ``"mean"``: the mean of the same pixel over `reference`.
        ``"neighbours"``: the mean of the known pixels among the eight neighbours, repeated with the
        pixels just filled until none is missing; an image with no known pixel becomes background.
    reference
        Shape (M, H, W): the training images, whose means are used for every other image as well. By
        default `images`. May have missing pixels; one that is missing in all of them counts as 0.

    Returns
    -------
    ndarray
        float32, shape (N, H, W). Known pixels are unchanged.

    Raises
    ------
    InputError
        Not images in [0, 1], or an unknown method.
    """
    damaged = _checked(images)
    if method == "zero":
        return np.nan_to_num(damaged, nan=0.0)
    if method == "mean":
        from sklearn.impute import SimpleImputer

        fitted = damaged if reference is None else _checked(reference)
        imputer = SimpleImputer(keep_empty_features=True).fit(fitted.reshape(len(fitted), -1))
        filled: Images = imputer.transform(damaged.reshape(len(damaged), -1)).reshape(damaged.shape)
        return filled.astype(np.float32, copy=False)
    if method == "neighbours":
        return _fill_from_neighbours(damaged)
    raise InputError(f"unknown method {method!r}; choose 'zero', 'mean' or 'neighbours'")


def _fill_from_neighbours(damaged: Images) -> Images:
    from scipy.ndimage import correlate1d

    def sum3x3(values: Images) -> Images:
        rows = correlate1d(values, [1, 1, 1], axis=1, mode="constant")
        result: Images = correlate1d(rows, [1, 1, 1], axis=2, mode="constant")
        return result

    known = ~np.isnan(damaged)
    filled = np.where(known, damaged, np.float32(0))
    open_images = np.flatnonzero(~known.all((1, 2)) & known.any((1, 2)))
    while len(open_images):
        part, part_known = filled[open_images], known[open_images]
        neighbours = np.rint(sum3x3(part_known.astype(np.float32)))
        fillable = ~part_known & (neighbours > 0)
        means = sum3x3(part) / np.maximum(neighbours, 1)
        # a running sum may round past the values it averages
        filled[open_images] = np.where(fillable, np.clip(means, 0, 1), part)
        known[open_images] |= fillable
        open_images = open_images[~known[open_images].all((1, 2))]
    return filled


def denoise(images: NDArray[Any], size: int = 3) -> Images:
    """Replace every pixel by the median of the ``size × size`` window around it.

    Beyond the border the image counts as mirrored.

    Parameters
    ----------
    images
        Shape (N, H, W), in [0, 1]. The result is float32 of the same shape.
    size
        Side of the window in pixels, odd.

    Raises
    ------
    InputError
        Not images in [0, 1], missing pixels, or a size that is not odd and positive.
    """
    from scipy.ndimage import median_filter

    noisy = _checked(images)
    if np.isnan(noisy).any():
        raise InputError("images have missing pixels (NaN), which have no median; call impute first")
    if size < 1 or size % 2 == 0:
        raise InputError(f"size is {size}; expected an odd number, so that the window has a centre")
    filtered: Images = median_filter(noisy, size=(1, size, size))
    return filtered


def flip_labels(
    labels: NDArray[np.uint8], fraction: float, *, seed: int, classes: int = 10
) -> NDArray[np.uint8]:
    """Give ``round(fraction · N)`` labels another class, every wrong one equally likely.

    Parameters
    ----------
    labels
        uint8, shape (N,).
    fraction
        Share of the labels that become wrong.
    seed
        The same seed flips the same labels.
    classes
        Number of classes.

    Raises
    ------
    InputError
        `fraction` outside [0, 1], fewer than two classes, or a label that is none of them.
    """
    _check_fraction(fraction)
    if classes < 2 or (labels.size and int(labels.max()) >= classes):
        raise InputError(f"there are {classes} classes; expected at least 2, and every label below that")
    rng = np.random.default_rng(seed)
    flipped = labels.copy()
    chosen = rng.permutation(len(labels))[: round(fraction * len(labels))]
    # a shift by 1 … classes-1 reaches every other class and never the same one
    shift = rng.integers(1, classes, len(chosen))
    flipped[chosen] = (labels[chosen] + shift) % classes
    return flipped
