"""The benchmark of handwriting, gone through with a few images, pages and disturbances."""

import json

import handwriting
import measure
import numpy as np
import pytest

from mnist_course.data import load_mnist
from mnist_course.data.handwriting import LEAST, STEPS
from mnist_course.data.handwriting.paper import DISTURBANCES, write_page

FEW = ("none", "all at once")


@pytest.fixture
def opened(monkeypatch):
    """Let the script work on few images and pages, one seed; return the splits that it loads."""
    splits = []

    def load_few(split):
        splits.append(split)
        return load_mnist(split).subset(range(0, 6000, 20))

    monkeypatch.setattr(handwriting, "load_mnist", load_few)
    monkeypatch.setitem(handwriting.TRAINING, "images", 240)
    monkeypatch.setitem(handwriting.TRAINING, "epochs", 1)
    monkeypatch.setattr(handwriting, "SEEDS", (0,))
    monkeypatch.setattr(handwriting, "PAGES", 1)
    monkeypatch.setattr(handwriting, "DISTURBANCES", FEW)
    monkeypatch.setattr(handwriting, "FONTS", ("DejaVuSans",))
    monkeypatch.setattr("sys.argv", ["handwriting"])
    return splits


def result(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    handwriting.main()
    return json.loads((tmp_path / "handwriting.json").read_text())


def test_every_step_is_left_out_once_and_every_disturbance_is_read(opened, tmp_path, monkeypatch):
    found = result(tmp_path, monkeypatch)
    left_out = [tuple(variant["left_out"]) for variant in found["variants"].values()]
    assert {(), STEPS, *((step,) for step in STEPS)} <= {*left_out}
    assert len({*left_out}) == len(left_out)
    for variant in found["variants"].values():
        assert [*variant["disturbances"]] == [*FEW]
        for cell in variant["disturbances"].values():
            for run in cell["runs"]:
                assert run["digits"] == handwriting.DIGITS
                assert run["read_right"] <= run["right"] <= run["found"] <= run["digits"]
                assert run["read_right"] <= run["read"] <= run["found"]
    assert found["confidence"] == LEAST


def test_the_confidence_is_chosen_on_training_images_only(opened):
    model, unseen = handwriting.trained(0)
    chosen = handwriting.choice(model, unseen, 0)
    assert {*opened} == {"train"}
    assert [one["confidence"] for one in chosen] == [*handwriting.CONFIDENCES]
    for share in ("digits_read", "letters_read"):
        values = [one[share] for one in chosen]
        assert values == sorted(values, reverse=True)
        assert values[0] == 1


def test_the_unseen_images_are_none_of_those_the_network_learned(opened):
    _, unseen = handwriting.trained(0)
    images = handwriting.load_mnist("train").images
    assert np.array_equal(unseen.images, images[handwriting.TRAINING["images"] :])


def test_without_the_test_set_nothing_is_recorded(opened, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["handwriting", "--unseen"])
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    handwriting.main()
    assert "every step" in capsys.readouterr().out
    assert not [*tmp_path.iterdir()]


class Perfect:
    """Stands in for a network: knows the digits that were written, in order."""

    def __init__(self, labels):
        self.labels = labels

    def predict_probabilities(self, model, images):
        return np.eye(10)[self.labels[: len(images)]]


@pytest.mark.parametrize("disturbance", ["none", "rotation", "squared paper"])
def test_a_digit_is_right_where_it_was_written(disturbance, train_digits, monkeypatch):
    images, labels = train_digits.images[4:9], train_digits.labels[4:9]
    pages = [(write_page(images, disturbance, seed=2), labels)]
    wings = {name: Perfect(answers) for name, answers in (("right", labels), ("wrong", 9 - labels))}
    for name, right in (("right", 5), ("wrong", 0)):
        monkeypatch.setattr(handwriting, "wing", lambda *_, name=name: wings[name])
        count = handwriting.counted(None, pages, ())
        assert count == {
            "digits": 5, "right": right, "found": 5, "read": 5, "read_right": right, "extra": 0
        }  # fmt: skip


def test_the_choice_on_record_is_the_one_in_use():
    """The greatest confidence that reads nine of ten training digits."""
    record = json.loads((measure.RESULTS / "handwriting.json").read_text())
    enough = [one["confidence"] for one in record["choice"] if one["digits_read"]["mean"] >= 0.9]
    assert max(enough) == record["confidence"] == LEAST
    assert [*record["variants"]["every step"]["disturbances"]] == [*DISTURBANCES]
