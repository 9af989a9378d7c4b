import numpy as np
import pytest
from PIL import Image

from mnist_course.data import load_mnist
from mnist_course.data.pictures import read_picture
from mnist_course.errors import InputError


@pytest.fixture
def digit():
    return load_mnist("test").images[0]


def save(array, path):
    Image.fromarray(array).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff"])
def test_a_28x28_picture_is_taken_as_it_is(digit, tmp_path, suffix):
    path = save(digit, tmp_path / f"digit.{suffix}")
    assert (read_picture(path) == digit).all()


def test_dark_ink_on_paper_is_inverted(digit, tmp_path):
    assert (read_picture(save(255 - digit, tmp_path / "paper.png")) == digit).all()


def test_an_enlarged_digit_comes_back(digit, tmp_path):
    large = np.asarray(Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC))
    found = read_picture(save(large, tmp_path / "large.png")).astype(float)
    assert np.abs(found - digit).mean() < 4


def test_an_oblong_picture_is_padded_not_stretched(digit, tmp_path):
    found = read_picture(save(digit[:, 6:22], tmp_path / "narrow.png"))
    assert (found[:, 6:22] == digit[:, 6:22]).all()
    assert not found[:, :6].any()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((28, 28, 3), np.uint8), "mode RGB with 3 channels"),
        (np.zeros((28, 28, 4), np.uint8), "mode RGBA with 4 channels"),
        (np.zeros((28, 28), np.uint16), "mode I;16"),
        (np.zeros((5000, 5000), np.uint8), "5000×5000 pixels"),
        (np.zeros((1, 1), np.uint8), "1×1 pixels"),
    ],
)
def test_unusable_pictures_are_refused(array, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_picture(save(array, tmp_path / "picture.png"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", "is empty"),
        ("text.png", b"not a picture", "not a picture"),
        ("vector.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        ("document.pdf", b"%PDF-1.7\n%%EOF", "not a picture"),
    ],
)
def test_other_files_are_refused(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_picture(tmp_path / name)


def test_truncated_missing_and_folder(digit, tmp_path):
    path = save(digit, tmp_path / "digit.png")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        read_picture(path)
    with pytest.raises(InputError, match="does not exist"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(InputError, match="is a folder"):
        read_picture(tmp_path)
