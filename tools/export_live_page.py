"""Make what the live page loads: LeNet-5's weights, test digits, and a picture for where no script runs.

    python tools/export_live_page.py

Trains LeNet-5 as chapter 7 does, on one thread, in about a minute. Each weight is rounded to 12 bits: a
whole number of steps of its tensor, which base64 writes as two letters. So page and weights stay under
200 kB, and no answer on the test images changes; float16 would take a third more. The page's forward
pass is compared with PyTorch's on the same rounded weights.
"""

import base64
import json
import re
import string
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("agg")

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from mnist_course.data import ImageDataset, load_mnist, scale
from mnist_course.files import atomic_write
from mnist_course.models import build
from mnist_course.plotting import use_style
from mnist_course.pytorch.training import fit, predict_logits
from mnist_course.scratch import softmax

FOLDER = Path(__file__).resolve().parent.parent / "book" / "_static" / "live"
BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
PER_CLASS = 3
"""Test digits of each class: the first ones, whatever the network makes of them."""
ERRORS = 10
"""And the most certain ones of its errors, as chapter 7 shows them."""

WEIGHTS = """\
// LeNet-5 as chapter 7 trains it, in PyTorch's order of the axes. A weight is a whole number of steps:
// two letters of base64 are 12 bits, 2048 stands for 0.
// Derived: tools/export_live_page.py
(window.live ??= {}).weights = """
DIGITS = """\
// Images of MNIST's test set, by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, CC BY-SA 3.0.
// 784 bytes row by row, in base64; a zero is followed by the number of zeros in its run.
// Derived: tools/export_live_page.py
(window.live ??= {}).digits = """


def train() -> nn.Module:
    """Return the LeNet-5 of chapter 7's section "LeNet-5 with Adam: the whole run"."""
    torch.set_num_threads(1)
    training, validation = load_mnist("train").split(11 / 12, seed=7)
    lenet = build("lenet5", seed=0)
    fit(lenet, training, validation, epochs=5, seed=0, device="cpu")
    return lenet


def write_script(path: Path, head: str, content: object) -> None:
    """Write a script that assigns `content`, an entry or an item a line."""
    text = json.dumps(content, indent=0)
    with atomic_write(path) as temporary:
        temporary.write_text(f"{head}{text};\n", encoding="ascii")


def read_script(path: Path) -> Any:
    """Return what such a script assigns."""
    text = path.read_text(encoding="ascii")
    return json.loads(re.sub(r"^//.*\n", "", text, flags=re.MULTILINE).partition(" = ")[2].rstrip(";\n"))


def write_weights(path: Path, model: nn.Module) -> None:
    """Write every parameter, rounded to 12 bits."""
    tensors = {}
    for name, value in model.state_dict().items():
        numbers = value.numpy().astype(np.float64).ravel()
        step = float(np.abs(numbers).max() / 2047)
        counts = np.rint(numbers / step).astype(int) + 2048
        letters = "".join(BASE64[count >> 6] + BASE64[count & 63] for count in counts)
        tensors[name] = {"step": step, "counts": letters}
    write_script(path, WEIGHTS, tensors)


def read_weights(path: Path = FOLDER / "weights.js") -> nn.Module:
    """Return LeNet-5 with the rounded weights of the page."""
    model = build("lenet5")
    tensors = read_script(path)
    for name, value in model.state_dict().items():
        sixths = np.array([BASE64.index(letter) for letter in tensors[name]["counts"]])
        numbers = (64 * sixths[0::2] + sixths[1::2] - 2048) * tensors[name]["step"]
        value.copy_(torch.from_numpy(numbers.astype(np.float32)).reshape(value.shape))
    return model.eval()


def pack(image: NDArray[np.uint8]) -> str:
    """Encode an image's bytes, each run of zeros as a zero and its length."""
    runs = re.finditer(rb"\0{1,255}|[^\0]+", image.tobytes())
    packed = b"".join(bytes([0, len(run)]) if run[0] == 0 else run for run in (m[0] for m in runs))
    return base64.b64encode(packed).decode()


def choose_digits(model: nn.Module, test: ImageDataset) -> dict[str, list[int]]:
    """Return indices into the test set: `PER_CLASS` of each class in turn, and `ERRORS` errors."""
    firsts = [np.flatnonzero(test.labels == label)[:PER_CLASS] for label in range(10)]
    probabilities = softmax(predict_logits(model, test.images))
    answers = probabilities.argmax(1)
    wrong = np.flatnonzero(answers != test.labels)
    worst = wrong[np.argsort(-probabilities[wrong, answers[wrong]])][:ERRORS]
    return {"ordinary": np.stack(firsts, 1).ravel().tolist(), "errors": worst.tolist()}


def draw_picture(path: Path, model: nn.Module, image: NDArray[np.uint8]) -> None:
    """Draw what happens to one digit (28, 28), layer by layer."""
    x = torch.from_numpy(scale(image))[None, None]  # (1, 1, 28, 28)
    with torch.inference_mode():
        conv1 = F.relu(model.conv1(x))
        pool1 = F.max_pool2d(conv1, 2)
        conv2 = F.relu(model.conv2(pool1))
        pool2 = F.max_pool2d(conv2, 2)
        probabilities = softmax(model(x).numpy())[0]
    layers = {
        "6 maps of 28 × 28\nconvolution, ReLU": conv1,
        "6 maps of 14 × 14\npooling": pool1,
        "16 maps of 10 × 10\nconvolution, ReLU": conv2,
        "16 maps of 5 × 5\npooling": pool2,
    }
    use_style()
    left, right = plt.figure(figsize=(7.2, 5.0)).subfigures(1, 2, width_ratios=(1, 2.4))
    picture, bars = left.subplots(2, 1)
    picture.imshow(image, cmap="gray_r")
    picture.set(xticks=[], yticks=[], title="image of 28 × 28")
    bars.barh(range(10), probabilities, color="#0072B2")
    bars.set(yticks=range(10), xlim=(0, 1), xticks=[0, 1], title="ten probabilities")
    bars.invert_yaxis()
    rows = right.subfigures(len(layers), 1)
    for row, (title, values) in zip(rows, layers.items(), strict=True):
        row.supylabel(title, rotation=0, ha="left", va="center", fontsize=9)
        axes = row.subplots(-(-len(values[0]) // 8), min(8, len(values[0])))
        for ax, one in zip(axes.flat, values[0], strict=True):
            ax.imshow(one, cmap="gray_r", vmin=0)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color("#bbbbbb")
            ax.spines[:].set_visible(True)
    with atomic_write(path) as temporary:
        plt.savefig(temporary, dpi=150, bbox_inches=None, metadata={"Software": None})


def export(trained: nn.Module) -> None:
    """Write the three files."""
    write_weights(FOLDER / "weights.js", trained)
    model = read_weights()
    test = load_mnist("test")
    digits = {
        kind: [
            {"index": index, "label": int(test.labels[index]), "pixels": pack(test.images[index])}
            for index in indices
        ]
        for kind, indices in choose_digits(model, test).items()
    }
    write_script(FOLDER / "digits.js", DIGITS, digits)
    draw_picture(FOLDER / "layers.png", model, test.images[0])


if __name__ == "__main__":
    export(train())
