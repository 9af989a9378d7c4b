import gzip
import lzma
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnist_course.data import read_idx, write_idx
from mnist_course.errors import InputError

NUMBERS = st.sampled_from([np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64])
SHAPES = arrays.array_shapes(max_dims=4, min_side=0, max_side=5)
HEADER = b"\0\0\x08\x02" + struct.pack(">2I", 2, 3)


@settings(deadline=None)
@given(
    array=NUMBERS.flatmap(lambda dtype: arrays.arrays(dtype, SHAPES)),
    suffix=st.sampled_from(["", ".gz"]),
)
def test_what_is_written_is_read_back(array, suffix, tmp_path_factory):
    path = tmp_path_factory.mktemp("idx") / f"array{suffix}"
    write_idx(path, array)
    again = read_idx(path)
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes()  # bytes, so that NaN equals NaN


def test_header_is_big_endian_and_bytes_are_reproducible(tmp_path):
    write_idx(tmp_path / "a", np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert (tmp_path / "a").read_bytes() == HEADER + bytes(range(6))
    write_idx(tmp_path / "b.gz", np.arange(6, dtype=np.int16))
    first = (tmp_path / "b.gz").read_bytes()
    write_idx(tmp_path / "b.gz", np.arange(6, dtype=np.int16))
    assert (tmp_path / "b.gz").read_bytes() == first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends inside its header"),
        (b"\0\0", "ends inside its header"),
        (b"%PDF-1.7 and more", "starts with bytes 25 50 44 46"),
        (b"\0\0\x07\x01" + bytes(8), "an IDX file starts with"),
        (HEADER[:9], "ends inside its header"),
        (HEADER + bytes(5), "truncated.*6 bytes.*5 are there"),
        (HEADER + bytes(7), "goes on after the 6 bytes"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "at most"),
        (gzip.compress(HEADER + bytes(6), mtime=0)[:-9], "damaged"),
        (lzma.compress(HEADER + bytes(6))[:-20], "damaged|truncated"),
        (gzip.compress(HEADER + bytes(5), mtime=0), "truncated"),
    ],
    ids=lambda value: None if isinstance(value, str) else value[:8].hex(),
)
def test_damaged_files_are_refused(content, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_idx(path)


@settings(max_examples=200)
@given(content=st.binary(max_size=64))
def test_any_bytes_give_an_array_or_an_input_error(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "file"
    path.write_bytes(content)
    try:
        array = read_idx(path, max_bytes=1 << 16)
    except InputError:
        return
    assert array.nbytes <= 64


def test_a_wrong_checksum_is_refused(tmp_path):
    write_idx(tmp_path / "a", np.zeros(3, np.uint8))
    with pytest.raises(InputError, match="SHA-256"):
        read_idx(tmp_path / "a", sha256="0" * 64)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(InputError, match="is a folder"):
        read_idx(tmp_path)


@pytest.mark.parametrize(
    "array", [np.zeros(2, np.complex64), np.array(3, np.uint8), np.zeros(2, np.int64)]
)
def test_arrays_that_idx_cannot_hold_are_refused(array, tmp_path):
    with pytest.raises(InputError, match="IDX cannot hold"):
        write_idx(tmp_path / "a", array)
    assert not list(tmp_path.iterdir())
