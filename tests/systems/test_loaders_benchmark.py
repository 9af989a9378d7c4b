"""The peers whose speed is compared deliver the same kind of batches, altered equally far."""

import loaders
import pytest
import torch

from mnist_course.data.export import export_mnist


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mnist")
    export_mnist(path, "torchvision")
    return str(path)


@pytest.mark.parametrize("augmented", [False, True])
def test_the_peers_deliver_alike_batches(folder, augmented):
    batches = [next(iter(loader)) for loader in (
        loaders.ours(augmented), loaders.torchvisions(0, augmented, folder)
    )]  # fmt: skip
    (ours, our_labels), (theirs, their_labels) = batches
    assert (ours.shape, ours.dtype, our_labels.dtype) == (
        theirs.shape, theirs.dtype, their_labels.dtype
    )  # fmt: skip
    assert len(ours) == loaders.BATCH
    # as much ink, to four standard errors of 64 images
    assert abs(ours.mean() - theirs.mean()) < 4 * ours.mean((1, 2, 3)).std() * (2 / 64) ** 0.5


def test_both_move_ink_as_far(folder):
    """Altered images, averaged over many, spread as far from the middle in both."""

    def spread(augmented, loader):
        images = torch.cat([images for _, (images, _) in zip(range(16), loader, strict=False)])
        squares = (torch.arange(28) - 13.5) ** 2
        mass = images.mean((0, 1))
        return ((mass.sum(0) * squares).sum() / mass.sum()).item() ** 0.5

    ours = spread(True, loaders.ours(True))
    theirs = spread(True, loaders.torchvisions(0, True, folder))
    plain = spread(False, loaders.ours(False))
    assert ours == pytest.approx(theirs, rel=0.02)
    assert min(ours, theirs) > 1.02 * plain
