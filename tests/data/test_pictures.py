import struct
import zlib
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from mnist_course.data import load_mnist
from mnist_course.data.pictures import PAGE_SIDE, read_page, read_picture
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


def stroke(mode="L"):
    """A picture whose lower left corner is dark."""
    page = np.full((40, 60), 230, np.uint8)
    page[30:, :10] = 20
    return Image.fromarray(page).convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
def test_a_page_of_any_kind_of_pixels_becomes_grey(mode, tmp_path):
    path = tmp_path / ("page.tiff" if mode == "CMYK" else "page.png")
    stroke(mode).save(path)
    page = read_page(path)
    assert page.dtype == np.uint8
    assert page.shape == (40, 60)
    assert page[35, 5] < 60
    assert page[5, 35] > 200


def test_16_bits_become_8(tmp_path):
    deep = np.asarray(stroke()).astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert np.array_equal(read_page(tmp_path / "deep.png"), np.asarray(stroke()))


@pytest.mark.parametrize(("colour", "paper"), [(10, 255), (250, 0)])
def test_what_is_transparent_is_paper_or_board(colour, paper, tmp_path):
    drawing = np.zeros((40, 60, 4), np.uint8)
    drawing[30:, :10] = (colour, colour, colour, 255)
    path = save(drawing, tmp_path / "drawing.png")
    page = read_page(path)
    assert page[35, 5] == colour
    assert page[5, 35] == paper


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_sideways_takes_upright_pages(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stroke().save(tmp_path / "page.jpg", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "page.jpg"))
    assert np.array_equal(read_page(tmp_path / "page.jpg"), np.asarray(upright))


def test_a_damaged_exif_block_turns_nothing(tmp_path):
    stroke().save(tmp_path / "page.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert read_page(tmp_path / "page.jpg").shape == (40, 60)


def test_a_large_page_is_made_smaller(tmp_path):
    path = save(np.full((1200, 4000), 200, np.uint8), tmp_path / "large.jpg")
    assert read_page(path).shape == (480, PAGE_SIDE)


def test_a_page_can_come_from_an_open_file():
    file = BytesIO()
    stroke().save(file, "PNG")
    assert np.array_equal(read_page(file), np.asarray(stroke()))
    with pytest.raises(InputError, match=r"^upload is not a picture"):
        read_page(BytesIO(b"<html>"), "upload")


def png(width, height, pixels=b""):
    """A PNG file whose header says what it likes."""

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


HOSTILE = {
    "bomb.png": (png(60_000, 60_000, bytes(60_001)), "60000×60000 pixels|3600000000 pixels"),
    "lying.png": (png(3000, 3000, bytes(10)), "damaged|truncated|broken"),
    "thread.png": (png(4000, 8, bytes(4001 * 8)), "at most 20 times"),
    "dot.png": (png(1, 1, bytes(2)), "1×1 pixels"),
    "none.png": (png(0, 10), "damaged|not a picture|0×10"),
    "empty.jpg": (b"", "is empty"),
    "text.jpg": (b"not a picture", "not a picture"),
    "vector.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_are_refused_in_one_line(name, tmp_path):
    content, says = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        read_page(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_32_bits_a_pixel_are_refused(tmp_path):
    Image.fromarray(np.zeros((20, 20), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(InputError, match="32 bits per pixel"):
        read_page(tmp_path / "float.tiff")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp"])
def test_half_a_file_is_damaged(suffix, tmp_path):
    path = tmp_path / f"page.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    save(noise, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"damaged|not a picture"):
        read_page(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp"])
def test_flipped_bytes_never_raise_anything_else(suffix):
    file = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    formats = {"jpg": "JPEG", "tiff": "TIFF"}
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).save(file, formats.get(suffix, suffix.upper()), exif=exif)
    content, rng = file.getvalue(), np.random.default_rng(1)
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(0, min(len(content), 400), 4):
            damaged[place] = rng.integers(256)
        with suppress(InputError):
            page = read_page(BytesIO(bytes(damaged)))
            assert page.dtype == np.uint8
            assert page.ndim == 2
