"""Corrected pictures: kept under their class for fine-tuning, within limits, and not otherwise."""

import numpy as np
import pytest
from PIL import Image

from mnist_course.data.folders import load_folder
from mnist_course.deployment.corrections import Corrections, Most, NoRoom, UnknownId
from mnist_course.errors import InputError
from mnist_course.runs import images

DIGITS = tuple("0123456789")


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_corrected_picture_is_kept_under_its_class_as_it_was(tmp_path, test_digits):
    corrections = Corrections(tmp_path / "new", DIGITS)
    key = corrections.remember(test_digits.images[0])
    assert files_in(tmp_path) == []
    corrections.keep(key, "7")
    assert files_in(tmp_path) == [f"new/7/{key}.png"]
    with Image.open(tmp_path / f"new/7/{key}.png") as picture:
        assert (np.asarray(picture) == test_digits.images[0]).all()


def test_finetune_reads_what_was_kept(tmp_path, test_digits):
    corrections = Corrections(tmp_path, DIGITS)
    some = test_digits.subset(np.isin(test_digits.labels, [3, 8]))
    for image, label in zip(some.images, some.labels, strict=True):
        corrections.keep(corrections.remember(image), str(label))
    found = load_folder(tmp_path, progress=False)
    assert found.class_names == ("3", "8")

    def pictures_of(data):
        names = np.array(data.class_names)[data.labels]
        return sorted((name, image.tobytes()) for name, image in zip(names, data.images, strict=True))

    assert pictures_of(found) == pictures_of(some)
    train, test = images(str(tmp_path), "train"), images(str(tmp_path), "test")
    assert (train.counts().tolist(), test.counts().tolist()) == ([16, 16], [4, 4])


def test_an_id_serves_once_and_cannot_be_made_up(tmp_path, test_digits):
    corrections = Corrections(tmp_path, DIGITS)
    key = corrections.remember(test_digits.images[0])
    with pytest.raises(InputError, match="unknown label '12'; choose one of 0, 1"):
        corrections.keep(key, "12")
    corrections.keep(key, "1")
    for other in (key, "", "0" * 32, "../../7"):
        with pytest.raises(UnknownId):
            corrections.keep(other, "2")
    assert files_in(tmp_path) == [f"1/{key}.png"]


def test_pictures_are_forgotten_by_number_and_by_age(tmp_path, test_digits):
    now = [0.0]
    most = Most(pending=2, seconds=10)
    corrections = Corrections(tmp_path, DIGITS, most, clock=lambda: now[0])
    first, second, third = (corrections.remember(image) for image in test_digits.images[:3])
    with pytest.raises(UnknownId):
        corrections.keep(first, "0")
    now[0] = 9
    corrections.keep(second, "0")
    now[0] = 11
    with pytest.raises(UnknownId):
        corrections.keep(third, "0")


@pytest.mark.parametrize("most", [Most(files=2), Most(total_bytes=900)])
def test_a_full_folder_takes_no_more_and_counts_what_was_there(most, tmp_path, test_digits):
    for attempt in range(2):  # as after a new start
        corrections = Corrections(tmp_path, DIGITS, most)
        with pytest.raises(NoRoom):
            for image in test_digits.images[:10]:
                corrections.keep(corrections.remember(image), str(attempt))
        kept = [(tmp_path / name).stat().st_size for name in files_in(tmp_path)]
        assert 1 <= len(kept) <= most.files
        assert sum(kept) <= most.total_bytes
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b"])
def test_a_class_that_cannot_name_a_folder_is_refused(name, tmp_path):
    with pytest.raises(InputError, match="cannot name a folder"):
        Corrections(tmp_path, ("0", name))


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        Corrections(tmp_path / "file", DIGITS)
