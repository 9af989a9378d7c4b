"""Random alterations of a whole batch on the device where it is, each image its own.

torchvision's ``v2.RandomAffine`` and ``v2.ElasticTransform`` draw once per call, so a batch given to
them is altered all alike. Here every image draws its own values and the batch is still resampled in one
call; with the same values an image comes out as torchvision's `functional.affine` and
`functional.elastic` make it. Chapter 10 shows both.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from mnist_course.augmentation import Augmentation, smoothing_matrix


class Placement(NamedTuple):
    """Where each image of a batch goes.

    Parameters
    ----------
    angles
        Shape (N,): degrees clockwise about the image's centre.
    scales
        Shape (N,): size factors.
    shifts
        Shape (N, 2): pixels to the right and down.
    displacement
        Shape (N, H, W, 2): for each pixel of the result, how much further right and down its value is
        taken from, in pixels. ``None`` for none.
    """

    angles: torch.Tensor
    scales: torch.Tensor
    shifts: torch.Tensor
    displacement: torch.Tensor | None = None

    def of(self, images: slice) -> "Placement":
        """Return the placements of some of the images."""
        field = None if self.displacement is None else self.displacement[images]
        return Placement(self.angles[images], self.scales[images], self.shifts[images], field)


def draw(
    augmentation: Augmentation, count: int, generator: torch.Generator, side: int = 28
) -> Placement:
    """Draw a placement for each of `count` images of `side` × `side` pixels, on the generator's device.

    Each image's values are independent of the others'.
    """

    def uniform(*shape: int) -> torch.Tensor:  # in [-1, 1)
        return 2 * torch.rand(*shape, generator=generator, device=generator.device) - 1

    angles = augmentation.rotation * uniform(count)
    scales = 1 + augmentation.zoom * uniform(count)
    shifts = augmentation.shift * uniform(count, 2)
    if augmentation.elastic is None:
        return Placement(angles, scales, shifts)
    alpha, sigma = augmentation.elastic
    smooth = torch.from_numpy(smoothing_matrix(sigma, side)).to(generator.device)
    field = smooth @ (alpha * uniform(count, 2, side, side)) @ smooth.T
    return Placement(angles, scales, shifts, field.permute(0, 2, 3, 1))


def place(images: torch.Tensor, placement: Placement) -> torch.Tensor:
    """Rotate, zoom and shift each image by its own amounts, then displace its pixels.

    All of it is one bilinear resampling, so an image is blurred once and not once per alteration. What
    lies outside of the image counts as background, 0.

    Parameters
    ----------
    images
        Floating point, shape (N, C, H, W).
    placement
        N placements on the same device.

    Returns
    -------
    Tensor
        Shape (N, C, H, W).
    """
    height, width = images.shape[-2:]
    like: dict[str, Any] = {"dtype": images.dtype, "device": images.device}
    # positions of the result's pixels, from the centre: shapes (W,) and (H, 1), or (N, H, W) for both
    right = torch.arange(width, **like) - (width - 1) / 2
    down = (torch.arange(height, **like) - (height - 1) / 2)[:, None]
    if placement.displacement is not None:
        right = right + placement.displacement[..., 0]
        down = down + placement.displacement[..., 1]
    shifts = placement.shifts[:, :, None, None]
    right, down = right - shifts[:, 0], down - shifts[:, 1]
    radians = torch.deg2rad(placement.angles)
    cosine = (radians.cos() / placement.scales)[:, None, None]
    sine = (radians.sin() / placement.scales)[:, None, None]
    # the inverse of the placement: from a pixel of the result to where its value comes from, in units
    # of which ±1 is the outer edge of the outermost pixels. Planes of one coordinate each are several
    # times as fast as pairs of coordinates and a product of matrices.
    sources = torch.stack(
        [
            (right * cosine + down * sine).mul_(2 / width),
            (down * cosine - right * sine).mul_(2 / height),
        ],
        dim=1,
    )  # (N, 2, H, W)
    grid = sources.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def augment(
    images: torch.Tensor, augmentation: Augmentation, generator: torch.Generator
) -> torch.Tensor:
    """Alter each image of a batch at random, on the generator's device.

    Parameters
    ----------
    images
        Floating point, square, shape (N, C, H, H), on the generator's device.
    augmentation
        How far.
    generator
        Source of the random numbers.

    Returns
    -------
    Tensor
        Shape (N, C, H, H).

    Examples
    --------
    >>> images = torch.zeros(8, 1, 28, 28)
    >>> augment(images, Augmentation(rotation=5), torch.Generator().manual_seed(0)).shape
    torch.Size([8, 1, 28, 28])
    """
    return place(images, draw(augmentation, len(images), generator, images.shape[-1]))


def epoch_generator(seed: int, epoch: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return the generator of one epoch's alterations: it depends on `seed` and `epoch` alone.

    So a resumed run sees the images that an uninterrupted one would have seen.
    """
    state = np.random.SeedSequence([seed, epoch, 1]).generate_state(1)  # [seed, epoch] is dropout's
    return torch.Generator(device=device).manual_seed(int(state[0]))
