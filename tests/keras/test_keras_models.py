import numpy as np
import pytest

from mnist_course.errors import InputError
from mnist_course.keras.models import vgg16_transfer


@pytest.fixture
def no_cached_weights(tmp_path, monkeypatch):
    """A Keras that can neither find nor download weights."""
    import keras

    def refuse(*arguments, **options):
        raise OSError("no network here")

    monkeypatch.setattr(keras.src.applications.vgg16.file_utils, "get_file", refuse)


def test_vgg16_feeds_its_frozen_base_what_it_was_trained_on(test_digits):
    import keras

    model = vgg16_transfer(None, size=32)
    base = next(layer for layer in model.layers if layer.name.startswith("vgg16"))
    assert not base.trainable
    assert [tuple(weight.shape) for weight in model.trainable_weights] == [(512, 10), (10,)]
    images = (test_digits.images[:2] / 255.0).astype(np.float32)[..., np.newaxis]
    assert model.predict(images, verbose=0).shape == (2, 10)

    before_base = keras.Model(model.inputs, model.layers[model.layers.index(base) - 1].output)
    prepared = before_base.predict(images, verbose=0)  # (2, 32, 32, 3)
    large = keras.ops.image.resize(images * 255, (32, 32))
    rgb = np.repeat(np.asarray(large), 3, axis=-1)
    expected = keras.applications.vgg16.preprocess_input(rgb.copy())
    np.testing.assert_allclose(prepared, expected, atol=1e-3)


def test_missing_imagenet_weights_say_which_file_to_put_where(no_cached_weights):
    with pytest.raises(InputError, match=r"vgg16_weights_tf_dim_ordering_tf_kernels_notop\.h5.*models"):
        vgg16_transfer("imagenet")


def test_a_local_file_of_weights_is_read(tmp_path):
    import keras

    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    base.save_weights(tmp_path / "vgg.weights.h5")
    model = vgg16_transfer(tmp_path / "vgg.weights.h5", size=32)
    loaded = next(layer for layer in model.layers if layer.name.startswith("vgg16"))
    for ours, theirs in zip(loaded.get_weights(), base.get_weights(), strict=True):
        assert (ours == theirs).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            None,
            r"vgg\.h5 does not exist; expected the weights of VGG16 .*pass the path of vgg16_weights",
        ),
        (b"\x80\x04cposix\nsystem\n", r"vgg\.h5 does not hold the weights of VGG16"),
        (b"", r"vgg\.h5 does not hold the weights of VGG16"),
    ],
)
def test_a_file_that_holds_no_such_weights_is_named(content, message, tmp_path):
    if content is not None:
        (tmp_path / "vgg.h5").write_bytes(content)
    with pytest.raises(InputError, match=message):
        vgg16_transfer(tmp_path / "vgg.h5", size=32)


def test_the_weights_of_another_network_are_refused(tmp_path):
    import keras

    other = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(2, 3)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(InputError, match="does not hold the weights of VGG16"):
        vgg16_transfer(tmp_path / "other.weights.h5", size=32)


def test_random_weights_come_from_the_seed_and_leave_the_global_state_alone():
    def kernels(seed):
        model = vgg16_transfer(None, size=32, seed=seed)
        base = next(layer for layer in model.layers if layer.name.startswith("vgg16"))
        return base.layers[1].kernel, model.layers[-1].kernel

    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    first, same, other = kernels(1), kernels(1), kernels(2)
    assert np.random.random() == expected  # noqa: NPY002
    for one, equal, another in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(one, equal)
        assert np.any(np.asarray(one) != np.asarray(another))


def test_too_small_a_size_is_refused():
    with pytest.raises(InputError, match="at least 32"):
        vgg16_transfer(None, size=28)
