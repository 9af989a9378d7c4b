"""The same alterations as Keras layers: units, ranges, seeds, and agreement with PyTorch's."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mnist_course import build
from mnist_course.augmentation import Augmentation
from mnist_course.data import load_mnist, scale
from mnist_course.errors import InputError
from mnist_course.keras import keras, training
from mnist_course.keras.augmentation import ElasticDistortion, augment, displace, epoch_seed, layers
from mnist_course.pytorch import augmentation as in_pytorch

STILL = {"rotation": 0, "shift": 0, "zoom": 0}
ROWS, COLUMNS = np.mgrid[:28, :28].astype(np.float32)


@pytest.fixture(scope="module")
def digits():
    return scale(load_mnist("test").images[:32])[..., None]  # (32, 28, 28, 1)


def blobs(*centres, count=3000):
    """The same picture `count` times: smooth round spots at (row, column) positions."""
    spots = [np.exp(-((ROWS - row) ** 2 + (COLUMNS - column) ** 2) / 8) for row, column in centres]
    return np.repeat(np.sum(spots, axis=0, dtype=np.float32)[None, ..., None], count, axis=0)


def centroids(images):
    weights = images[..., 0] / images[..., 0].sum(axis=(1, 2), keepdims=True)
    return np.stack([(weights * ROWS).sum((1, 2)), (weights * COLUMNS).sum((1, 2))], axis=1)  # (N, 2)


def spread_about(images, centre):
    """Root of the mean squared distance from `centre`, per image."""
    squares = (ROWS - centre[0]) ** 2 + (COLUMNS - centre[1]) ** 2
    return np.sqrt((images[..., 0] * squares).sum((1, 2)) / images[..., 0].sum((1, 2)))


def altered_by_pytorch(images, augmentation):
    tensor = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    altered = in_pytorch.augment(tensor, augmentation, torch.Generator().manual_seed(1))
    return np.moveaxis(altered.numpy(), 1, -1)


ALTERED = {"keras": lambda images, a: augment(images, a, seed=1), "pytorch": altered_by_pytorch}


@pytest.fixture(params=ALTERED)
def alter(request):
    return ALTERED[request.param]


def test_nothing_to_do_changes_nothing(digits):
    assert (augment(digits, Augmentation(**STILL), seed=0) == digits).all()


def test_layers_do_nothing_outside_of_training(digits):
    for layer in layers(Augmentation(elastic=(34, 4))):
        assert (np.asarray(layer(digits, training=False)) == digits).all()


def test_shifts_are_uniform_in_pixels(alter):
    moved = centroids(alter(blobs((14, 14)), Augmentation(rotation=0, zoom=0, shift=3))) - 14
    assert np.abs(moved).max() == pytest.approx(3, abs=0.05)
    assert moved.mean(axis=0) == pytest.approx([0, 0], abs=0.15)
    assert moved.std(axis=0) == pytest.approx([3 / 3**0.5] * 2, rel=0.05)
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.08


def test_angles_are_uniform_in_degrees(alter):
    turned = centroids(alter(blobs((13.5, 21)), Augmentation(rotation=20, zoom=0, shift=0))) - 13.5
    angles = np.degrees(np.arctan2(turned[:, 0], turned[:, 1]))
    assert np.abs(angles).max() == pytest.approx(20, abs=0.5)
    assert angles.mean() == pytest.approx(0, abs=0.9)
    assert angles.std() == pytest.approx(20 / 3**0.5, rel=0.05)
    assert np.hypot(*turned.T).mean() == pytest.approx(7.5, abs=0.05)  # about the image's centre


def test_sizes_keep_to_their_range(alter):
    picture = blobs((10, 10), (17, 17))
    before = spread_about(picture, (13.5, 13.5))
    factors = (
        spread_about(alter(picture, Augmentation(rotation=0, zoom=0.2, shift=0)), (13.5, 13.5)) / before
    )
    assert factors.min() == pytest.approx(0.8, abs=0.015)
    assert factors.max() == pytest.approx(1.2, abs=0.015)
    assert factors.mean() == pytest.approx(1, abs=0.02)


def test_elastic_displacements_are_as_large_in_both_frameworks():
    elastic = Augmentation(**STILL, elastic=(40, 5))
    moved = [centroids(alter(blobs((14, 14)), elastic)) - 14 for alter in ALTERED.values()]
    ours, theirs = (values.std(axis=0) for values in moved)
    assert ours == pytest.approx(theirs, rel=0.06)
    assert ours.min() > 0.5
    assert abs(np.corrcoef(moved[0].T)[0, 1]) < 0.08  # down and right are independent


def test_one_displacement_gives_the_same_image_in_both_frameworks(digits):
    displacement = np.random.default_rng(0).uniform(-9, 9, (32, 28, 28, 2)).astype(np.float32)
    still = in_pytorch.Placement(
        torch.zeros(32), torch.ones(32), torch.zeros(32, 2), torch.from_numpy(displacement)
    )
    theirs = in_pytorch.place(torch.from_numpy(np.moveaxis(digits, -1, 1).copy()), still)
    ours = np.asarray(displace(digits, displacement))
    np.testing.assert_allclose(ours, np.moveaxis(theirs.numpy(), 1, -1), atol=2e-5)


def test_the_altered_digits_look_alike_in_both_frameworks():
    images = scale(load_mnist("test").images[:1000])[..., None]
    augmentation = Augmentation(elastic=(34, 4))
    ours, theirs = (alter(images, augmentation) for alter in ALTERED.values())
    distances = [np.abs(altered - images).mean() for altered in (ours, theirs)]
    assert distances[0] == pytest.approx(distances[1], rel=0.05)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.02)


def test_images_of_a_batch_are_altered_differently():
    same = blobs((10, 14), count=50)
    altered = augment(same, Augmentation(), seed=0)
    assert len({image.tobytes() for image in altered}) == 50


def test_the_seed_decides(digits):
    augmentation = Augmentation(elastic=(34, 4))
    first = augment(digits, augmentation, seed=3)
    assert (augment(digits, augmentation, seed=3) == first).all()
    assert np.abs(augment(digits, augmentation, seed=4) - first).max() > 0.1


def test_an_epochs_seed_depends_on_seed_and_epoch():
    assert len({epoch_seed(seed, epoch) for seed in range(5) for epoch in range(5)}) == 25


def test_layers_work_inside_a_model(digits):
    network = keras.Sequential(
        [keras.Input((28, 28, 1)), *layers(Augmentation(elastic=(34, 4))), build("simple_cnn", "keras")]
    )
    at_rest = network.predict(digits, verbose=0)
    np.testing.assert_allclose(at_rest, network.layers[-1].predict(digits, verbose=0), atol=1e-5)
    assert np.abs(network(digits, training=True) - at_rest).max() > 0.01


def test_the_elastic_layer_is_rebuilt_from_its_configuration():
    layer = ElasticDistortion(34.0, 4.0, seed=7)
    again = ElasticDistortion.from_config(layer.get_config())
    assert (again.alpha, again.sigma, again.seed) == (34.0, 4.0, 7)


def test_another_shape_is_refused(digits):
    with pytest.raises(InputError, match=r"\(32, 28, 28\); expected \(N, 28, 28, 1\)"):
        augment(digits[..., 0], Augmentation(), seed=0)


def test_a_resumed_run_with_augmentation_equals_an_uninterrupted_one(
    train_digits, test_digits, tmp_path
):
    options = {
        "augmentation": Augmentation(), "optimizer": "adamw", "weight_decay": 0.1, "batch_size": 64,
        "seed": 3, "progress": False,
    }  # fmt: skip
    whole = build("simple_cnn", "keras", seed=1)
    expected = training.fit(whole, train_digits, epochs=2, **options)
    part, resumed = build("simple_cnn", "keras", seed=1), build("simple_cnn", "keras", seed=9)
    training.fit(part, train_digits, epochs=1, checkpoint=tmp_path, **options)
    history = training.fit(resumed, train_digits, epochs=2, checkpoint=tmp_path, resume=True, **options)
    assert history.train_loss == pytest.approx(expected.train_loss, rel=1e-5)
    ours, theirs = (training.predict_logits(model, test_digits.images) for model in (resumed, whole))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_augmentation_and_weight_decay_change_what_is_trained(train_digits):
    def last_loss(**options):
        model = build("simple_cnn", "keras", seed=1)
        history = training.fit(model, train_digits, epochs=3, seed=3, progress=False, **options)
        norm = sum(float(np.square(weight).sum()) for weight in model.get_weights())
        return history.train_loss[-1], norm

    plain, augmented = last_loss(), last_loss(augmentation=Augmentation())
    decayed = last_loss(optimizer="adamw", weight_decay=10.0)
    assert augmented[0] > plain[0]
    assert decayed[1] < 0.8 * plain[1]


def test_the_layers_work_on_the_torch_backend(tmp_path):
    code = (
        "import sys, numpy as np; from mnist_course.augmentation import Augmentation\n"
        "from mnist_course.keras import keras\n"
        "from mnist_course.keras.augmentation import augment\n"
        "assert keras.backend.backend() == 'torch'\n"
        "images = np.load(sys.argv[1])\n"
        "for name in ('rotation', 'shift', 'zoom', 'elastic'):\n"
        "    values = {'rotation': 0, 'shift': 0, 'zoom': 0}\n"
        "    values |= {name: {'rotation': 20, 'shift': 3, 'zoom': 0.2, 'elastic': (34, 4)}[name]}\n"
        "    print(np.abs(augment(images, Augmentation(**values), seed=0) - images).mean())\n"
    )
    images = scale(load_mnist("test").images[:500])[..., None]
    np.save(tmp_path / "images.npy", images)
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "images.npy")],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    alone = [
        Augmentation(**{**STILL, **change})
        for change in ({"rotation": 20}, {"shift": 3}, {"zoom": 0.2}, {"elastic": (34, 4)})
    ]
    here = [np.abs(augment(images, augmentation, seed=0) - images).mean() for augmentation in alone]
    assert [float(line) for line in run.stdout.split()] == pytest.approx(here, rel=0.1)
