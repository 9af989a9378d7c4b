"""Batches of a data set that is in memory as a whole: the way from `ImageDataset` to a training loop.

torchvision's way keeps the images as bytes, turns one after the other into a picture and a tensor, and
puts the tensors of a batch together. MNIST as float32 takes 188 MB, so here all of it is made into one
tensor at the start, on the device that trains, and a batch is one look-up by index. Chapter 11 measures
both.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mnist_course.augmentation import Augmentation
from mnist_course.data import ImageDataset, epoch_order, scale
from mnist_course.errors import InputError
from mnist_course.pytorch import devices
from mnist_course.pytorch.augmentation import draw, epoch_generator, place
from mnist_course.training import require_dataset


class TensorLoader:
    """Iterate over shuffled batches ``(images, labels)``, as over PyTorch's ``DataLoader``.

    Every iteration is the next epoch. What an epoch holds depends on `seed` and its number alone, so a
    run that continues with ``set_epoch`` sees the batches that an uninterrupted one would have seen.

    Parameters
    ----------
    dataset
        At least one image.
    batch_size
        Examples per batch, over all shards together. The last batch may be smaller.
    shuffle
        Visit the examples in each epoch's own order, or always in the order of `dataset`.
    seed
        Fixes the orders and the alterations.
    augmentation
        Alters every image anew each time it is used. A loader that only evaluates gets none.
    device
        Where the images are kept and altered: ``"auto"`` or a device name.
    shard
        ``(rank, world)``: from every batch this loader yields the examples at ``rank::world``. So the
        loaders of all ranks, with the same seed, share out what one loader would yield, the alterations
        included. They all have the same number of batches; a last batch of fewer than `world` examples
        leaves an empty one to some.
    drop_last
        Leave out the last batch if it is smaller.

    Attributes
    ----------
    dataset, batch_size, shuffle, seed, augmentation, device, shard, drop_last
        As given.
    images
        float32 in [0, 1], shape (N, 1, 28, 28), on the device.
    labels
        int64, shape (N,), on the device.
    epoch
        The number of the next iteration, from 0.

    Raises
    ------
    InputError
        No data, no batch size, a shard that cannot be, or a device that is not there.

    Examples
    --------
    >>> blank = ImageDataset(np.zeros((100, 28, 28), np.uint8), np.zeros(100, np.uint8))
    >>> loader = TensorLoader(blank, 64)
    >>> [tuple(images.shape) for images, labels in loader]
    [(64, 1, 28, 28), (36, 1, 28, 28)]
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        device: str | torch.device = "cpu",
        shard: tuple[int, int] = (0, 1),
        drop_last: bool = False,
    ) -> None:
        _check(dataset, batch_size, augmentation, shard, drop_last)
        self.dataset, self.batch_size, self.shuffle, self.seed = dataset, batch_size, shuffle, seed
        self.augmentation, self.shard, self.drop_last = augmentation, shard, drop_last
        self.device = devices.choose(device)
        self.images = to_tensor(dataset.images).to(self.device)
        self.labels = torch.from_numpy(dataset.labels.astype(np.int64)).to(self.device)
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be epoch number `epoch`, and the ones after it the following.

        Raises
        ------
        InputError
            The number is below 0.
        """
        if epoch < 0:
            raise InputError(f"epoch is {epoch}; expected 0 for the first or a number above")
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self._batches(epoch)

    def _batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        count = len(self.dataset)
        order = epoch_order(count, seed=self.seed, epoch=epoch) if self.shuffle else np.arange(count)
        indices = torch.from_numpy(order).to(self.device)
        alterations = epoch_generator(self.seed, epoch, self.device)
        mine = slice(self.shard[0], None, self.shard[1])
        for batch in indices.split(self.batch_size)[: len(self)]:
            chosen = batch[mine]
            images = self.images.index_select(0, chosen)  # (B, 1, 28, 28)
            labels = self.labels.index_select(0, chosen)  # (B,)
            if self.augmentation is not None:
                # drawn for the whole batch: an image is altered alike however the batch is shared out
                whole = draw(self.augmentation, len(batch), alterations, images.shape[-1])
                images = place(images, whole.of(mine))
            yield images, labels


def to_tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """Turn uint8 images (N, 28, 28) into the float32 tensor (N, 1, 28, 28) in [0, 1] that networks take.

    Raises
    ------
    InputError
        The pixels are no bytes.
    """
    return torch.from_numpy(scale(images)).unsqueeze(1)


def _check(
    dataset: ImageDataset, batch_size: Any, augmentation: Any, shard: Any, drop_last: bool
) -> None:
    require_dataset(dataset)
    if not len(dataset):
        raise InputError("the data set is empty; expected at least one image")
    if not _whole(batch_size) or batch_size < 1:
        raise InputError(f"batch_size is {batch_size!r}; expected a whole number of at least 1")
    if drop_last and batch_size > len(dataset):
        raise InputError(
            f"batch_size is {batch_size} and there are {len(dataset)} images: drop_last leaves no batch;"
            " make it smaller"
        )
    if augmentation is not None and not isinstance(augmentation, Augmentation):
        raise InputError(
            f"augmentation is a {type(augmentation).__name__}; expected an Augmentation or None"
        )
    possible = isinstance(shard, tuple) and len(shard) == 2 and all(map(_whole, shard))
    if not possible or not 0 <= shard[0] < shard[1] <= batch_size:
        raise InputError(
            f"shard is {shard!r}; expected (rank, world) with 0 <= rank < world <= {batch_size},"
            " the batch size"
        )


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
