"""The benchmarks of attacks and of the missing group, gone through with a few images."""

import adversarial
import missing_group
import numpy as np
import pytest
import torch

from mnist_course.data import load_mnist
from mnist_course.models import build

FEW = {"train": 200, "test": 100}
"""One of so many images is enough here."""


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    def load_few(split):
        data = load_mnist(split)
        return data.subset(range(0, len(data), FEW[split]))

    for script in (adversarial, missing_group):
        monkeypatch.setattr(script, "load_mnist", load_few)
    monkeypatch.setattr(adversarial, "EPSILONS", (0.0, 0.1))
    monkeypatch.setattr(adversarial, "STEPS", 2)


@pytest.mark.parametrize("label", adversarial.VARIANTS)
def test_every_way_of_training_is_attacked(label):
    recipe = {**adversarial.VARIANTS[label], "examples": 100, "epochs": 1}
    found = adversarial.train_and_attack(recipe, seed=0)
    assert found["test_images"] == 100
    for attacked in found["attacked"].values():
        assert attacked["epsilons"] == [0.0, 0.1]
        assert attacked["images"] == 10
    assert len({attacked["correct"][0] for attacked in found["attacked"].values()}) == 1  # ε = 0


@pytest.mark.parametrize("attack", [adversarial.fgsm, adversarial.pgd])
def test_an_attack_raises_the_loss_within_its_budget(attack):
    test = load_mnist("test").subset(range(20))
    images = torch.tensor(test.images / 255).float().unsqueeze(1)
    labels = torch.tensor(test.labels, dtype=torch.long)
    model = build("lenet5", seed=0).eval()
    changed = attack(model, images, labels, 0.05)
    assert (changed - images).abs().max() <= 0.05 + 1e-6
    assert changed.min() >= 0
    assert changed.max() <= 1
    loss = torch.nn.functional.cross_entropy
    assert loss(model(changed), labels) > loss(model(images), labels)


@pytest.mark.parametrize("label", missing_group.VARIANTS)
def test_the_parts_of_the_test_images_are_all_of_them(label):
    recipe = {**missing_group.VARIANTS[label], "examples": 200, "epochs": 1}
    found = missing_group.train_and_test(recipe, seed=0)
    parts = found["parts"].values()
    assert sum(part["images"] for part in parts) == found["test_images"] == 100
    assert sum(part["correct"] for part in parts) == found["test_correct"]
    assert 0 < found["parts"]["group"]["images"] < 50


@pytest.mark.parametrize("asked", [None, 0, 10])
def test_as_many_of_the_group_are_drawn_as_were_asked_for(asked):
    train = missing_group.load_mnist("train")
    group = missing_group.slant(train.images) < 0
    recipe = {"examples": 60, **({} if asked is None else {"of_the_group": asked})}
    data = missing_group.drawn(recipe, train, group, seed=0)
    assert len(data) == 60
    leaning = int((missing_group.slant(data.images) < 0).sum())
    assert leaning == asked if asked is not None else leaning > 0


def test_slant_is_the_shear_that_was_applied():
    upright = np.zeros((28, 28), np.uint8)
    upright[6:22, 13:15] = 255
    leaning = np.stack(
        [np.stack([np.roll(row, round(0.5 * (13.5 - y))) for y, row in enumerate(upright)])] * 2
    )
    leaning[1] = leaning[1, :, ::-1]
    right, left = missing_group.slant(leaning)
    assert right == pytest.approx(0.5, abs=0.05)
    assert left == pytest.approx(-right)
    assert missing_group.slant(upright[None])[0] == pytest.approx(0, abs=1e-12)
