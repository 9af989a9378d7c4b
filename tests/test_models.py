"""The same network in every framework: same shapes, same number of weights."""

import numpy as np
import pytest

from mnist_course import build
from mnist_course.errors import InputError
from mnist_course.models import FRAMEWORKS, MODELS, wing

PARAMETERS = {
    "lenet5": 61_706,
    "simple_cnn": 21_840,
    "dense_cnn": 225_034,
    "small_cnn": 34_826,
    "single_conv_cnn": 693_962,
}


def weights(model, framework):
    if framework == "numpy":
        return list(model.parameters().values())
    if framework == "keras":
        return [np.asarray(weight) for weight in model.trainable_weights]
    return [parameter.detach().numpy() for parameter in model.parameters()]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", MODELS)
def test_size_outputs_and_seed(name, framework, test_digits):
    model = build(name, framework, seed=1)
    assert sum(array.size for array in weights(model, framework)) == PARAMETERS[name]
    logits = wing(framework, "training").predict_logits(model, test_digits.images[:3])
    assert logits.shape == (3, 10)
    assert logits.dtype == np.float32
    same, other = build(name, framework, seed=1), build(name, framework, seed=2)
    for ours, theirs in zip(weights(model, framework), weights(same, framework), strict=True):
        assert (ours == theirs).all()
    assert any(
        (ours != theirs).any()
        for ours, theirs in zip(weights(model, framework), weights(other, framework), strict=True)
    )


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_building_leaves_the_global_random_state_alone(framework):
    import torch

    np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
    expected = np.random.random(), torch.rand(1).item()  # noqa: NPY002
    np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
    build("lenet5", framework)
    assert (np.random.random(), torch.rand(1).item()) == expected  # noqa: NPY002


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown model 'alexnet'; choose one of lenet5"):
        build("alexnet", "pytorch")
    with pytest.raises(InputError, match="unknown framework 'jax'; choose one of numpy, keras, pytorch"):
        build("lenet5", "jax")


def test_a_framework_that_is_not_installed_is_named(monkeypatch):
    import mnist_course.models

    def missing(name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(mnist_course.models, "import_module", missing)
    with pytest.raises(InputError, match=r"needs the package 'torch'.*pip install"):
        build("lenet5", "pytorch")
