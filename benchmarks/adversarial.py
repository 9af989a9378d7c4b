"""What augmentation and adversarial training do about adversarial images (chapter 17).

LeNet-5 is trained in four ways that differ in what is done to each batch; everything else is the same,
and no setting was chosen by looking at any result. The test images are opened once per seed: all of them
as they are, and a tenth, the same of every class and in every run, under attack. An attack knows the
network, and changes every pixel by at most ε.

References
----------
Goodfellow, Shlens and Szegedy, Explaining and harnessing adversarial examples, 2015.
Madry, Makelov, Schmidt, Tsipras and Vladu, Towards deep learning models resistant to adversarial
attacks, 2018.
"""

from collections.abc import Callable
from typing import Any

import torch
from over_seeds import Recipe, main
from torch import nn
from torch.nn import functional as F

from mnist_course.augmentation import Augmentation
from mnist_course.data import load_mnist
from mnist_course.pytorch.loaders import TensorLoader, to_tensor
from mnist_course.pytorch.models import build
from mnist_course.pytorch.training import evaluate

EPSILONS = (0.0, 0.025, 0.05, 0.1, 0.15, 0.2)
STEPS = 20
BUDGET = 0.1  # of the noise and of the attack in training

COMMON = {
    "model": "lenet5",
    "examples": 12_000,
    "epochs": 5,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "optimizer": "adam",
}
VARIANTS: dict[str, Recipe] = {
    "as they are": {**COMMON, "batch": "plain"},
    "augmented": {**COMMON, "batch": "augmented", "rotation": 10, "shift": 2, "zoom": 0.1},
    "with noise": {**COMMON, "batch": "noise", "epsilon": BUDGET},
    "with FGSM": {**COMMON, "batch": "fgsm", "epsilon": BUDGET},
}

Attack = Callable[[nn.Module, torch.Tensor, torch.Tensor, float], torch.Tensor]


def fgsm(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Take one step of size ε along the sign of the loss gradient, within [0, 1]."""
    return (images + epsilon * _slope(model, images, labels).sign()).clamp(0, 1)


def pgd(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Take `STEPS` smaller steps from a random start, and return to the cube after each."""
    x = noisy(images, epsilon, torch.Generator().manual_seed(0))
    for _ in range(STEPS):
        x = x + 2.5 * epsilon / STEPS * _slope(model, x, labels).sign()
        x = torch.clamp(x, images - epsilon, images + epsilon).clamp(0, 1)
    return x


def noisy(images: torch.Tensor, epsilon: float, generator: torch.Generator) -> torch.Tensor:
    """Add uniform noise within ±ε, within [0, 1]."""
    return (images + epsilon * (2 * torch.rand(images.shape, generator=generator) - 1)).clamp(0, 1)


def _slope(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    images = images.detach().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(images), labels, reduction="sum"), images)[0]


def trained(recipe: Recipe, seed: int) -> nn.Module:
    """Train on the seed's part of the training images."""
    full = load_mnist("train")
    data = full.split(recipe["examples"] / len(full), seed=seed)[0]
    augmentation = None
    if recipe["batch"] == "augmented":
        augmentation = Augmentation(recipe["rotation"], recipe["shift"], recipe["zoom"])
    loader = TensorLoader(data, recipe["batch_size"], seed=seed, augmentation=augmentation)
    model = build(recipe["model"], seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), recipe["learning_rate"])
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(recipe["epochs"]):
        loader.set_epoch(epoch)
        for images, labels in loader:
            if recipe["batch"] == "noise":
                images = noisy(images, recipe["epsilon"], generator)
            elif recipe["batch"] == "fgsm":
                images = fgsm(model, images, labels, recipe["epsilon"])
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
    return model.eval().requires_grad_(False)


def train_and_attack(recipe: Recipe, seed: int) -> dict[str, Any]:
    """Train, then open the test images once: as they are, and a tenth of them under attack."""
    model, test = trained(recipe, seed), load_mnist("test")
    part = test.split(0.1, seed=0)[0]
    images, labels = to_tensor(part.images), torch.tensor(part.labels, dtype=torch.long)
    attacked = {}
    attacks: dict[str, Attack] = {"FGSM": fgsm, "PGD": pgd}
    for name, attack in attacks.items():
        correct = []
        for epsilon in EPSILONS:
            changed = attack(model, images, labels, epsilon)
            if (changed - images).abs().max() > epsilon + 1e-6 or changed.min() < 0 or changed.max() > 1:
                raise AssertionError(f"{name} left its budget of {epsilon}")
            correct.append(int((model(changed).argmax(1) == labels).sum()))
        attacked[name] = {"epsilons": list(EPSILONS), "correct": correct, "images": len(part)}
    return {
        "test_correct": evaluate(model, test).correct,
        "test_images": len(test),
        "attacked": attacked,
    }


if __name__ == "__main__":
    import adversarial  # a worker is sent the function by its name

    packages = ["mnist-course", "numpy", "torch"]
    main("adversarial", VARIANTS, packages=packages, run=adversarial.train_and_attack, seeds=range(5))
