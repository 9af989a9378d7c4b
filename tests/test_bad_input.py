"""What the three wings say to images that are not scaled, or ordered for another framework."""

import numpy as np
import pytest
import torch

from mnist_course import build
from mnist_course.data import ImageDataset, scale
from mnist_course.errors import InputError
from mnist_course.models import FRAMEWORKS, MODELS, wing
from mnist_course.scratch import (
    binary_cross_entropy,
    conv2d,
    cross_entropy,
    mean_squared_error,
    mean_squared_error_gradient,
)


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return request.param


def refuses(message, function, *arguments, **options):
    with pytest.raises(InputError, match=message) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (scale, r"float32.*expected uint8.*np\.rint\(255 \* images\)\.astype\(np\.uint8\)"),
        (lambda images: images.astype(np.float64), r"float64.*; np\.rint\(images\)\.astype"),
        (lambda images: images[..., None], r"\(2, 28, 28, 1\); expected .* images\[\.\.\., 0\] drops"),
        (lambda images: images[:, None], r"\(2, 1, 28, 28\); expected .* images\[:, 0\] drops"),
        (lambda images: images.reshape(2, 784), r"images\.reshape\(-1, 28, 28\)"),
        (lambda images: images[0], r"images\[np\.newaxis\] is a batch of one"),
    ],
)
def test_predicting_takes_stored_images_and_nothing_else(framework, change, message, test_digits):
    training, model = wing(framework, "training"), build("simple_cnn", framework)
    refuses(message, training.predict_logits, model, change(test_digits.images[:2]))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: 255 * images, r"pixels reach 25\d, expected 0 to 1; divide bytes by 255"),
        (lambda images: images.transpose(0, 3, 1, 2), r"the channels stand first: pass np\.moveaxis"),
        (lambda images: images[..., 0], r"add the channel axis: images\[\.\.\., None\]"),
        (lambda images: images[0], r"images\[None\] is a batch of one"),
        (lambda images: (255 * images).astype(np.uint8), r"uint8.*pixels divided by 255"),
    ],
)
def test_a_numpy_network_refuses_images_of_another_kind(name, change, message, test_digits):
    images = scale(test_digits.images[:2])[..., None]
    model = build(name, "numpy")
    assert model.forward(images).shape == (2, 10)
    refuses(message, model.forward, change(images))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: 255 * images, r"pixels reach 25\d, expected 0 to 1; divide bytes by 255"),
        (
            lambda images: images.permute(0, 2, 3, 1),
            r"channels stand last: pass images\.movedim\(-1, 1\)",
        ),
        (lambda images: images[:, 0], r"add the channel axis: images\[:, None\]"),
        (lambda images: images[0], r"images\[None\] is a batch of one"),
        (
            lambda images: (255 * images).byte(),
            r"torch\.uint8, expected floats.*images\.float\(\) / 255",
        ),
    ],
)
def test_a_pytorch_network_refuses_images_of_another_kind(name, change, message, test_digits):
    images = torch.from_numpy(scale(test_digits.images[:2])).unsqueeze(1)
    model = build(name, "pytorch")
    assert model(images).shape == (2, 10)
    refuses(message, model, change(images))


def test_the_advice_of_the_messages_works(test_digits):
    pixels = scale(test_digits.images[:2])
    numpy_network, module = build("lenet5", "numpy"), build("lenet5", "pytorch")
    expected = numpy_network.forward(pixels[..., None])
    moved = np.moveaxis(pixels[:, None], 1, -1)
    assert (numpy_network.forward(moved) == expected).all()
    first = torch.from_numpy(pixels)[:, None]
    assert torch.equal(module(torch.from_numpy(pixels[..., None]).movedim(-1, 1)), module(first))
    assert (np.rint(255 * pixels).astype(np.uint8) == test_digits.images[:2]).all()


def test_standardised_images_are_no_bytes(test_digits):
    images = (scale(test_digits.images[:2])[..., None] - 0.1307) / 0.3081
    assert build("lenet5", "numpy").forward(images.astype(np.float32)).shape == (2, 10)
    tensor = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2)
    assert build("lenet5", "pytorch")(tensor).shape == (2, 10)


def test_the_check_of_a_pytorch_network_is_invisible_to_transformations(test_digits):
    model = build("simple_cnn", "pytorch")
    images = torch.from_numpy(scale(test_digits.images[:3])).unsqueeze(1)
    parameters = dict(model.named_parameters())
    each = torch.func.vmap(lambda image: torch.func.functional_call(model, parameters, (image[None],)))
    torch.testing.assert_close(each(images)[:, 0], model(images))
    exported = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(exported(images), model(images))
    assert set(model.state_dict()) == set(parameters)


@pytest.mark.parametrize("name", ["predict_logits", "evaluate", "fit"])
def test_a_keras_model_that_takes_channels_first_is_refused(name, test_digits):
    from mnist_course.keras.training import keras

    model = keras.Sequential([keras.Input((1, 28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)])
    training = wing("keras", "training")
    data = test_digits.images if name == "predict_logits" else test_digits
    options = {"epochs": 1} if name == "fit" else {}
    refuses(
        r"takes images of shape \(1, 28, 28\), expected \(28, 28, 1\)",
        getattr(training, name), model, data, **options,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["evaluate", "fit"])
def test_arrays_where_a_data_set_belongs_are_refused(framework, name, test_digits):
    function, model = getattr(wing(framework, "training"), name), build("simple_cnn", framework)
    options = {"epochs": 1} if name == "fit" else {}
    refuses(
        r"a ndarray, expected an ImageDataset: ImageDataset\(",
        function,
        model,
        test_digits.images,
        **options,
    )
    pair = (test_digits.images, test_digits.labels)
    refuses(r"a tuple, expected an ImageDataset", function, model, pair, **options)


def test_one_hot_labels_are_no_labels_of_a_data_set(test_digits):
    one_hot = np.eye(10, dtype=np.uint8)[test_digits.labels]
    refuses(r"labels\.argmax\(axis=1\)\.astype\(np\.uint8\)", ImageDataset, test_digits.images, one_hot)
    wide = test_digits.labels.astype(np.int64)
    refuses(r"labels\.astype\(np\.uint8\)", ImageDataset, test_digits.images, wide)
    refuses(
        r"expected uint8 of shape \(200,\), one per image$",
        ImageDataset,
        test_digits.images,
        wide[:3].astype(np.uint8),
    )


LOGITS = np.zeros((4, 10), np.float32)
LABELS = np.array([3, 1, 4, 1])


def test_cross_entropy_takes_integers_and_says_so():
    for one_hot in (np.eye(10)[LABELS], np.eye(10, dtype=int)[LABELS]):
        refuses(r"shape \(4, 10\), expected \(4,\).*\.argmax\(axis=1\)", cross_entropy, LOGITS, one_hot)


@pytest.mark.parametrize("loss", [mean_squared_error, mean_squared_error_gradient, binary_cross_entropy])
def test_losses_of_one_hot_rows_refuse_integers(loss):
    message = r"shape \(4,\), expected a row of 10 .* np\.eye\(10, dtype=predictions\.dtype\)\[labels\]"
    refuses(message, loss, LOGITS, LABELS)
    loss(LOGITS, np.eye(10, dtype=LOGITS.dtype)[LABELS])  # what the message advises


def test_convolution_recognises_channels_first():
    images, kernels = np.zeros((2, 3, 8, 8), np.float32), np.zeros((3, 3, 3, 4), np.float32)
    refuses(r"channels first\? pass np\.moveaxis\(images, 1, -1\)", conv2d, images, kernels)
    assert conv2d(np.moveaxis(images, 1, -1), kernels).shape == (2, 6, 6, 4)


def test_scaling_twice_is_refused(test_digits):
    refuses(r"float32; expected uint8", scale, scale(test_digits.images[:2]))
