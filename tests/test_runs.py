"""Data by name or folder, and the folders that training leaves."""

import numpy as np
import pytest
from PIL import Image

from mnist_course.data import load_optdigits
from mnist_course.errors import InputError
from mnist_course.runs import images, newest


@pytest.fixture
def folder(tmp_path, test_digits):
    """Twenty pictures each of the digits 3 and 5."""
    for label in (3, 5):
        (tmp_path / "mine" / str(label)).mkdir(parents=True)
        for index in np.flatnonzero(test_digits.labels == label):
            picture = Image.fromarray(test_digits.images[index])
            picture.save(tmp_path / "mine" / str(label) / f"{index}.png")
    return tmp_path / "mine"


def pixels(dataset):
    return {image.tobytes() for image in dataset.images}


def test_a_folder_is_divided_the_same_way_each_time(folder, test_digits):
    train, test = (images(str(folder), split) for split in ("train", "test"))
    assert (train.counts().tolist(), test.counts().tolist()) == ([16, 16], [4, 4])
    assert pixels(train) | pixels(test) == pixels(
        test_digits.subset(np.isin(test_digits.labels, [3, 5]))
    )
    assert not pixels(train) & pixels(test)


def test_a_name_is_a_data_set(tmp_path, monkeypatch):
    (tmp_path / "optdigits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert images("optdigits", "test") is load_optdigits("test")


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("cifar", "train", "unknown data set 'cifar'; choose one of mnist, .* or name a folder"),
        ("mnist", "dev", "unknown split 'dev'"),
        (".", "dev", "unknown split 'dev'"),
    ],
)
def test_what_is_no_data_set_is_refused(name, split, message):
    with pytest.raises(InputError, match=message):
        images(name, split)


def test_without_a_run_none_is_the_newest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no trained network under runs/; run mnist-course train"):
        newest()
