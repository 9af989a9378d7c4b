"""An ONNX file is the same network, with its preprocessing and what its outputs mean."""

import json
import site
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import mnist_course
from mnist_course import build
from mnist_course.deployment.exporting import OPSET, REFERENCE_IMAGES, TOLERANCE, export
from mnist_course.deployment.network import OnnxNetwork
from mnist_course.equivalence import convert
from mnist_course.errors import InputError
from mnist_course.pytorch import training

DIGITS = tuple("0123456789")


def noise(count):
    return np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)


@pytest.mark.parametrize("count", [1, 2, 7, 65])
def test_logits_and_probabilities_are_pytorchs_in_a_batch_of_any_size(count, module, network):
    images = noise(count)
    np.testing.assert_allclose(
        network.logits(images), training.predict_logits(module, images),
        rtol=1e-5, atol=1e-5,
    )  # fmt: skip
    expected = training.predict_probabilities(module, images)
    np.testing.assert_allclose(network.predict(images), expected, rtol=0, atol=1e-5)


def test_real_digits_are_answered_as_pytorch_answers_them(module, network, test_digits):
    expected = training.predict_probabilities(module, test_digits.images)
    found = network.predict(test_digits.images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert (found.argmax(1) == expected.argmax(1)).all()


def test_an_image_is_answered_alike_alone_and_in_a_batch(network, test_digits):
    together = network.predict(test_digits.images)
    alone = np.concatenate([network.predict(test_digits.images[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, together[:20], rtol=0, atol=1e-6)


def test_scaled_images_cannot_be_passed_by_mistake(model_file, network, test_digits):
    scaled = test_digits.images[:1] / np.float32(255)
    with pytest.raises(InputError, match="float32"):
        network.predict(scaled)
    session = onnxruntime.InferenceSession(model_file, providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match="Unexpected input data type"):
        session.run(None, {"images": scaled})


def test_the_file_says_what_it_is(model_file, train_digits):
    proto = onnx.load(model_file)
    assert [(one.domain, one.version) for one in proto.opset_import] == [("", OPSET)]
    texts = {one.key: one.value for one in proto.metadata_props}
    assert texts["model_name"] == "lenet5"
    assert json.loads(texts["class_names"]) == list(DIGITS)
    assert len(json.loads(texts["reference"])["ink"]) == min(REFERENCE_IMAGES, len(train_digits))
    assert "uint8 (batch, 28, 28)" in proto.doc_string


def test_the_file_names_nothing_of_the_machine_that_wrote_it(model_file):
    content = model_file.read_bytes()
    for folder in (Path(mnist_course.__file__).parent, *site.getsitepackages(), Path.home()):
        assert str(folder).encode() not in content


@pytest.mark.parametrize("name", ["simple_cnn", "dense_cnn", "single_conv_cnn"])
def test_every_network_can_be_exported_without_training_images(name, tmp_path):
    difference = export(build(name), tmp_path / "model.onnx", name=name, class_names=DIGITS)
    assert 0 <= difference <= TOLERANCE
    found = OnnxNetwork.load(tmp_path / "model.onnx")
    assert (found.name, found.class_names, found.reference) == (name, DIGITS, None)


def test_a_numpy_network_is_exported_by_way_of_pytorch(tmp_path):
    network = build("small_cnn", "numpy", seed=4)
    path = tmp_path / "model.onnx"
    export(convert(network, to="pytorch"), path, name="small_cnn", class_names=DIGITS)
    images = noise(5)
    expected = network.forward(images[..., np.newaxis] / np.float32(255))
    np.testing.assert_allclose(OnnxNetwork.load(path).logits(images), expected, rtol=1e-4, atol=1e-5)


def test_fewer_names_than_classes_leave_no_file(tmp_path):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 4))
    with pytest.raises(InputError, match="3 classes for its 4 outputs"):
        export(network, tmp_path / "model.onnx", name="linear", class_names=("a", "b", "c"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    from mnist_course.deployment import exporting

    class Wrong(OnnxNetwork):
        def predict(self, images):
            return np.roll(super().predict(images), 1, axis=1)

    monkeypatch.setattr(exporting, "OnnxNetwork", Wrong)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 4))
    with pytest.raises(RuntimeError, match="differs from the network"):
        export(network, tmp_path / "model.onnx", name="linear", class_names=tuple("abcd"))
    assert list(tmp_path.iterdir()) == []
