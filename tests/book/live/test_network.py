"""The network in the page is chapter 7's, and its logits are PyTorch's."""

import json
import re
from pathlib import Path

import export_live_page
import numpy as np
import pytest

from mnist_course.data import load_mnist
from mnist_course.pytorch.training import evaluate, predict_logits

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "book" / "_static" / "live"
CHAPTER = ROOT / "chapters" / "07_cnn_in_pytorch.ipynb"


def test_page_and_weights_stay_under_200_kb():
    files = [path for path in SOURCES.iterdir() if path.suffix in {".js", ".css"}]
    assert len(files) >= 8
    assert sum(path.stat().st_size for path in files) <= 200_000


def test_network_is_the_one_that_chapter_7_trains(model):
    """Its recipe is the chapter's, and its accuracy the one that the chapter prints."""
    cells = [cell for cell in json.loads(CHAPTER.read_text())["cells"] if cell["cell_type"] == "code"]
    code = "\n".join("".join(cell["source"]) for cell in cells)
    recipe = Path(export_live_page.__file__).read_text()
    for line in ('load_mnist("train").split(11 / 12, seed=7)', 'lenet = build("lenet5", seed=0)'):
        assert line in code
        assert line in recipe
    assert 'fit(lenet, train, validation, epochs=5, seed=0, device="cpu")' in code
    assert 'fit(lenet, training, validation, epochs=5, seed=0, device="cpu")' in recipe
    (cell,) = [cell for cell in cells if "".join(cell["source"]) == "print(final)"]
    printed = float(re.search(r"accuracy (0\.\d+)", "".join(cell["outputs"][0]["text"]))[1])
    accuracy = evaluate(model, load_mnist("test")).accuracy
    again = "chapter 7 was executed elsewhere: run tools/export_live_page.py"
    assert accuracy == pytest.approx(printed, abs=5e-4), again


def test_logits_equal_pytorchs_on_200_digits(page, model, test_digits):
    images = test_digits.images
    logits = page.evaluate(
        "(images) => images.map((bytes) => [...live.network.forward(bytes).fc3])",
        images.reshape(-1, 784).tolist(),
    )
    assert len(logits) == 200
    np.testing.assert_allclose(logits, predict_logits(model, images), rtol=0, atol=1e-4)


def test_digits_are_mnists_and_the_errors_are_errors(page, model):
    test = load_mnist("test")
    digits = page.evaluate(
        "Object.fromEntries(['ordinary', 'errors'].map((kind) =>"
        " [kind, live.handwriting[kind].map((one) => ({ ...one, bytes: [...one.bytes] }))]))"
    )
    for kind, members in digits.items():
        indices = [one["index"] for one in members]
        assert np.array_equal([one["bytes"] for one in members], test.images[indices].reshape(-1, 784))
        assert [one["label"] for one in members] == test.labels[indices].tolist()
        if kind == "errors":
            answers = predict_logits(model, test.images[indices]).argmax(1)
            pairs = zip(test.labels[indices], answers, strict=True)
            captions = page.locator("#live-errors button").all_inner_texts()
            assert [text.strip() for text in captions] == [
                f"{label} → {answer}" for label, answer in pairs
            ]
            assert (answers != test.labels[indices]).all()


def test_normalising_restores_every_moved_digit(page):
    """MNIST's own images are what its rules make of them, wherever on the paper they lie."""
    assert page.evaluate(
        "() => { const { ordinary, normalise, writeImage, HOME } = live.handwriting;"
        " return ordinary.every(({ bytes }) => [{ right: 1, down: -1, size: 1 }, HOME].every("
        "(move) => String(normalise(writeImage(bytes, move))) === String(bytes))); }"
    )
