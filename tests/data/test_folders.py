import os
import shutil

import numpy as np
import pytest
from PIL import Image

from mnist_course.data import folders, load_folder
from mnist_course.errors import InputError


@pytest.fixture
def written(tmp_path, test_digits):
    """Folders named after digits, with two of the test images in each of three classes."""
    for label in (1, 2, 10):
        (tmp_path / str(label)).mkdir()
        for index in (0, 1):
            image = test_digits.images[test_digits.labels == label % 10][index]
            Image.fromarray(image).save(tmp_path / str(label) / f"{index}.png")
    return tmp_path


def test_the_classes_are_the_folders_and_the_pixels_the_files(written, test_digits):
    dataset = load_folder(written)
    assert dataset.class_names == ("1", "2", "10")
    assert dataset.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (dataset.images[2] == test_digits.images[test_digits.labels == 2][0]).all()


def test_names_that_are_no_numbers_are_sorted_as_text(written):
    (written / "2").rename(written / "zwei")
    assert load_folder(written).class_names == ("1", "10", "zwei")


def test_what_file_managers_leave_is_passed_over(written):
    for name in (".DS_Store", "Thumbs.db", "1/.hidden", "1/desktop.ini"):
        (written / name).write_bytes(b"x")
    assert len(load_folder(written)) == 6


def large_file(path):
    with path.open("wb") as file:
        file.truncate(folders.MAX_FILE_BYTES + 1)


def save(array, path):
    Image.fromarray(array).save(path)


DAMAGE = {
    "one class": (lambda root: [shutil.rmtree(root / name) for name in "12"], "only the class 10"),
    "no class": (lambda root: [shutil.rmtree(root / name) for name in ("1", "2", "10")], "no folders"),
    "an empty class": (lambda root: (root / "3").mkdir(), "3 is empty; put its pictures into it"),
    "a loose picture": (lambda root: (root / "1/0.png").rename(root / "0.png"), r"0\.png is a file"),
    "a folder in a class": (lambda root: (root / "1/more").mkdir(), "1/more is a folder; expected only"),
    "a linked class": (lambda root: (root / "3").symlink_to(root / "1"), "3 is a link; expected only"),
    "a linked picture": (lambda root: (root / "1/2.png").symlink_to("/etc/hostname"), "2.png is a link"),
    "a pipe": (lambda root: os.mkfifo(root / "1/2.png"), "2.png is no ordinary file"),
    "text": (lambda root: (root / "1/2.png").write_text("text"), "2.png is not a picture"),
    "half a picture": (
        lambda root: (root / "1/0.png").write_bytes((root / "1/0.png").read_bytes()[:90]),
        r"0\.png is damaged",
    ),
    "colour": (
        lambda root: save(np.zeros((28, 28, 3), np.uint8), root / "1/2.png"),
        "2.png has mode RGB with 3 channels",
    ),
    "a huge file": (lambda root: large_file(root / "1/2.png"), "2.png has 16 MiB; expected"),
    "a huge picture": (
        lambda root: save(np.zeros((1, 60_000), np.uint8), root / "1/2.png"),
        "2.png has 60000×1 pixels",
    ),
    "a name with an escape": (
        lambda root: (root / "1/\x1b[31m\n.png").write_bytes(b""),
        r"holds the name '\\x1b\[31m\\n\.png'",
    ),
    "a name in another encoding": (
        lambda root: os.mkdir(os.fsencode(root) + b"/caf\xe9"),  # noqa: PTH102
        r"holds the name 'caf\\udce9'",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(what, written):
    damage, message = DAMAGE[what]
    damage(written)
    with pytest.raises(InputError, match=message) as refused:
        load_folder(written)
    assert str(refused.value).isprintable()


def test_a_file_and_nothing_are_no_folders(written):
    with pytest.raises(InputError, match="is a file; expected a folder"):
        load_folder(written / "1/0.png")
    with pytest.raises(InputError, match="does not exist"):
        load_folder(written / "none")


def test_too_many_pictures_are_refused_before_any_is_read(written, monkeypatch):
    monkeypatch.setattr(folders, "MAX_IMAGES", 5)
    monkeypatch.setattr(folders, "read_picture", None)
    with pytest.raises(InputError, match="holds 6 pictures; expected at most 5"):
        load_folder(written)


def test_too_many_classes_are_refused(written, monkeypatch):
    monkeypatch.setattr(folders, "MAX_CLASSES", 2)
    with pytest.raises(InputError, match="holds 3 folders; expected at most 2"):
        load_folder(written)
