"""Whole batches in PyTorch: each image as torchvision would make it, each with its own values."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import ElasticTransform, InterpolationMode
from torchvision.transforms.v2 import functional as tv

from mnist_course.augmentation import Augmentation
from mnist_course.data import load_mnist, scale
from mnist_course.errors import InputError
from mnist_course.pytorch import regularized, training
from mnist_course.pytorch.augmentation import Placement, augment, draw, epoch_generator, place

STILL = {"rotation": 0, "shift": 0, "zoom": 0}


def still(count, **changes):
    values = {
        "angles": torch.zeros(count), "scales": torch.ones(count), "shifts": torch.zeros(count, 2)
    }  # fmt: skip
    return Placement(**{**values, **changes})


@pytest.fixture(scope="module")
def digits():
    return torch.from_numpy(scale(load_mnist("test").images[:32])).unsqueeze(1)  # (32, 1, 28, 28)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_identity_changes_nothing(digits):
    torch.testing.assert_close(place(digits, still(32)), digits, atol=1e-5, rtol=0)
    same = augment(digits, Augmentation(**STILL), generator())
    torch.testing.assert_close(same, digits, atol=1e-5, rtol=0)


@given(right=st.integers(-9, 9), down=st.integers(-9, 9))
def test_a_whole_shift_moves_pixels_exactly(right, down):
    images = torch.rand(1, 1, 28, 28, generator=generator(1))
    moved = place(images, still(1, shifts=torch.tensor([[right, down]], dtype=torch.float32)))
    expected = torch.zeros_like(images)
    kept = images[..., max(0, -down) : 28 - max(0, down), max(0, -right) : 28 - max(0, right)]
    height, width = kept.shape[-2:]
    top, left = max(0, down), max(0, right)
    expected[..., top : top + height, left : left + width] = kept
    torch.testing.assert_close(moved, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_quarter_turns_equal_rot90(digits, quarter):
    turned = place(digits, still(32, angles=torch.full((32,), 90.0 * quarter)))
    expected = np.rot90(digits.numpy(), -quarter, axes=(2, 3)).copy()  # rot90 turns counter-clockwise
    np.testing.assert_allclose(turned.numpy(), expected, atol=2e-5)


def test_twice_the_size_is_the_middle_enlarged(digits):
    enlarged = place(digits, still(32, scales=torch.full((32,), 2.0)))
    middle = torch.nn.functional.interpolate(digits[..., 6:22, 6:22], scale_factor=2, mode="bilinear")
    torch.testing.assert_close(enlarged, middle[..., 2:30, 2:30], atol=2e-5, rtol=0)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_each_image_is_torchvisions_affine(seed):
    images = torch.rand(5, 1, 28, 28, generator=generator(seed))
    placement = draw(Augmentation(rotation=90, shift=8, zoom=0.5), 5, generator(seed))
    ours = place(images, placement)
    for index, image in enumerate(images):
        theirs = tv.affine(
            image, angle=placement.angles[index].item(), translate=placement.shifts[index].tolist(),
            scale=placement.scales[index].item(), shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )  # fmt: skip
        torch.testing.assert_close(ours[index], theirs, atol=2e-5, rtol=0)


def test_each_image_is_torchvisions_elastic(digits):
    placement = draw(Augmentation(**STILL, elastic=(60, 4)), 32, generator())
    ours = place(digits, placement)
    for index, image in enumerate(digits):
        # torchvision counts displacements in half image sizes
        theirs = tv.elastic(image, placement.displacement[index : index + 1] * 2 / 28)
        torch.testing.assert_close(ours[index], theirs, atol=2e-5, rtol=0)


def test_displacements_are_as_large_as_torchvisions():
    alpha, sigma = 34, 4
    ours = draw(Augmentation(**STILL, elastic=(alpha, sigma)), 400, generator()).displacement
    transform = ElasticTransform(alpha=float(2 * alpha), sigma=float(sigma))
    torch.manual_seed(0)
    picture = [torch.zeros(1, 28, 28)]
    theirs = torch.cat([transform.make_params(picture)["displacement"] for _ in range(400)]) * 28 / 2
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.02)
    assert ours[:, 6:22, 6:22].std().item() == pytest.approx(0.163 * alpha / sigma, rel=0.05)


def test_affine_and_elastic_are_one_resampling_of_the_two(digits):
    smooth = torch.nn.functional.avg_pool2d(digits, 5, 1, 2)  # nothing fine that resampling would lose
    both = draw(Augmentation(elastic=(34, 4)), 32, generator())
    first = place(smooth, both._replace(displacement=None))
    then = place(first, still(32, displacement=both.displacement))
    assert (place(smooth, both) - then).abs().mean() < 0.005


def test_values_differ_within_a_batch_and_keep_to_their_ranges():
    placement = draw(Augmentation(rotation=10, shift=2, zoom=0.1), 5000, generator())
    for values, low, high in (
        (placement.angles, -10, 10), (placement.scales, 0.9, 1.1), (placement.shifts, -2, 2),
    ):  # fmt: skip
        assert values.unique().numel() > 0.9 * values.numel()
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
        expected = (high - low) / 12**0.5  # of a uniform distribution
        assert values.std().item() == pytest.approx(expected, rel=0.03)


def test_every_value_is_drawn_on_its_own():
    placement = draw(Augmentation(elastic=(34, 4)), 4000, generator())
    centre = placement.displacement[:, 14, 14]
    columns = [placement.angles, placement.scales, *placement.shifts.T, *centre.T]
    correlation = torch.corrcoef(torch.stack(columns)) - torch.eye(6)
    assert correlation.abs().max() < 0.08  # five standard errors


def test_no_image_sees_its_neighbours(digits):
    placement = draw(Augmentation(elastic=(34, 4)), 32, generator())
    whole = place(digits, placement)
    alone = place(digits[3:4], Placement(*(value[3:4] for value in placement)))
    torch.testing.assert_close(whole[3:4], alone, atol=1e-6, rtol=0)


def test_the_generator_decides_and_moves_on(digits):
    source = generator(5)
    first, second = (augment(digits, Augmentation(), source) for _ in range(2))
    assert (first - second).abs().max() > 0.1
    assert (augment(digits, Augmentation(), generator(5)) == first).all()


def test_an_epochs_generator_depends_on_seed_and_epoch():
    states = {
        (seed, epoch): epoch_generator(seed, epoch).initial_seed()
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(set(states.values())) == 25
    assert states[2, 3] == epoch_generator(2, 3).initial_seed()


def fit(train, **options):
    model = regularized.build(dropout=0.3, batch_norm=True, seed=1)
    history = training.fit(model, train, epochs=3, batch_size=64, seed=3, progress=False, **options)
    return model, history


def test_augmentation_changes_what_is_trained(train_digits):
    _, plain = fit(train_digits)
    _, altered = fit(train_digits, augmentation=Augmentation())
    assert altered.train_loss[-1] > plain.train_loss[-1]
    assert altered.settings["augmentation"] == {
        "rotation": 10.0,
        "shift": 2.0,
        "zoom": 0.1,
        "elastic": None,
    }


def test_a_resumed_run_with_augmentation_equals_an_uninterrupted_one(train_digits, tmp_path):
    options = {"augmentation": Augmentation(elastic=(34, 4)), "optimizer": "adamw", "weight_decay": 0.1}
    whole, expected = fit(train_digits, **options)
    part = regularized.build(dropout=0.3, batch_norm=True, seed=1)
    common = {"batch_size": 64, "seed": 3, "progress": False, "checkpoint": tmp_path, **options}
    training.fit(part, train_digits, epochs=1, **common)
    resumed = regularized.build(dropout=0.3, batch_norm=True, seed=9)
    history = training.fit(resumed, train_digits, epochs=3, resume=True, **common)
    assert history.train_loss == expected.train_loss
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert (ours == theirs).all()


def test_a_checkpoint_of_another_augmentation_is_refused(train_digits, tmp_path):
    options = {"batch_size": 64, "progress": False, "checkpoint": tmp_path, "resume": True}
    model = regularized.build()
    training.fit(model, train_digits, epochs=1, augmentation=Augmentation(), **options)
    with pytest.raises(InputError, match="augmentation was"):
        training.fit(model, train_digits, epochs=2, augmentation=Augmentation(rotation=5), **options)


def test_weight_decay_shrinks_the_weights(train_digits):
    norms = []
    for decay in (0.0, None, 10.0):
        model, _ = fit(train_digits, optimizer="adamw", weight_decay=decay)
        norms.append(sum(p.detach().square().sum().item() for p in model.parameters()))
    assert norms[0] > norms[1] > norms[2]
    assert norms[2] < 0.8 * norms[0]


def test_without_regularisers_it_is_lenet5(digits):
    from mnist_course.pytorch.models import build

    ours, theirs = regularized.build(seed=4), build("lenet5", seed=4)
    assert (ours(digits) == theirs(digits)).all()


def test_dropout_and_batch_norm_act_in_training_only(digits):
    model = regularized.build(dropout=0.5, batch_norm=True)
    first, second = model(digits), model(digits)
    assert (first - second).abs().max() > 0.01
    model.eval()
    assert (model(digits) == model(digits)).all()


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_dropout_that_is_no_share_is_refused(dropout):
    with pytest.raises(InputError, match="dropout is"):
        regularized.build(dropout=dropout)
