"""`mnist-course predict` on photographs: what it says, draws, refuses, and how much memory it takes."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mnist_course import build
from mnist_course.data.handwriting.paper import write_page
from mnist_course.pytorch.training import fit, save_weights


@pytest.fixture(scope="module")
def network(tmp_path_factory, train_digits):
    """A LeNet-5 that has seen the 600 training digits often enough to know them."""
    folder = tmp_path_factory.mktemp("network")
    model = build("lenet5", "pytorch")
    history = fit(model, train_digits, epochs=12, learning_rate=3e-3, device="cpu", progress=False)
    history.settings |= {"model": "lenet5", "data": "mnist"}
    history.save(folder / "history.json")
    save_weights(model, folder / "weights.safetensors")
    return folder


def predict(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "mnist_course", "predict", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "TQDM_DISABLE": "1"},
        check=False,
    )


def assert_one_line(result, *words):
    assert result.returncode == 2, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("mnist-course: ")
    for word in words:
        assert word in lines[0]


def test_a_photograph_is_read_and_its_steps_are_drawn(network, train_digits, tmp_path):
    written = write_page(train_digits.images[[3, 30, 60, 90, 120]], "shadow", seed=2)
    Image.fromarray(written.grey).convert("RGB").save(tmp_path / "photo.jpg")
    result = predict(tmp_path, "--from", network, "photo.jpg", "--steps", "steps")
    assert result.returncode == 0, result.stderr
    first, *_, last = result.stdout.splitlines()
    text, confidences = re.fullmatch(r"photo\.jpg: ([0-9?]{5})  \((.*)\)", first).groups()
    assert len(confidences.split(", ")) == 5
    truth = "".join(str(train_digits.labels[index]) for index in (3, 30, 60, 90, 120))
    assert sum(one == other for one, other in zip(text, truth, strict=True)) >= 3
    assert last == "photo.jpg: the steps are in steps/photo-steps.png"
    with Image.open(tmp_path / "steps/photo-steps.png") as drawing:
        assert min(drawing.size) > 500


def test_two_photographs_of_one_name_keep_both_drawings(network, train_digits, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        page = write_page(train_digits.images[:1], seed=0).grey
        Image.fromarray(page).save(tmp_path / folder / "page.png")
    result = predict(tmp_path, "--from", network, "a/page.png", "b/page.png")
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.glob("*.png")} == {"page-steps.png", "page-steps-2.png"}


def test_a_blank_page_says_so(network, tmp_path):
    Image.new("L", (300, 200), 240).save(tmp_path / "blank.png")
    result = predict(tmp_path, "--from", network, "blank.png")
    assert_one_line(result, "blank.png shows no digit: nothing is written on it")
    assert [path.name for path in tmp_path.iterdir()] == ["blank.png"]


def test_ten_thousand_components_are_one_line(network, tmp_path):
    page = np.full((1600, 1600), 240, np.uint8)
    for row in range(4):
        for column in range(4):
            page[row + 6 :: 16, column + 6 :: 16] = 30
    Image.fromarray(page).save(tmp_path / "dots.png")
    assert_one_line(
        predict(tmp_path, "--from", network, "dots.png"), "dots.png: the page has 10,000 pieces"
    )


MEMORY = """
import sys
from mnist_course.data.handwriting import find_digits
from mnist_course.data.pictures import read_page
print(len(find_digits(read_page(sys.argv[1])).digits))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) // 1024)
"""
"""Not ``ru_maxrss``, which begins with the peak of the process that started this one."""


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_the_largest_photograph_takes_less_than_500_mb(train_digits, tmp_path, kind):
    page = Image.new("RGB", (8190, 6140), (230, 230, 220))
    digits = Image.fromarray(write_page(train_digits.images[:3], seed=0).grey)
    page.paste(digits.resize((8 * digits.width, 8 * digits.height)), (1000, 2000))
    progressive = {"progressive": True, "subsampling": 0} if kind == "jpg" else {"compress_level": 1}
    page.save(tmp_path / f"large.{kind}", **progressive)
    command = [sys.executable, "-c", MEMORY, str(tmp_path / f"large.{kind}")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    count, megabytes = map(int, result.stdout.split())
    assert count == 3
    assert megabytes < 500
