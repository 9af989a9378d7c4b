"""The IDX format of the MNIST files: a small header, then the numbers, big-endian.

Bytes 0 and 1 are zero, byte 2 names the type, byte 3 the number of dimensions; then one 32-bit size
per dimension; then the values in row-major order. Chapter 1 reads one by hand.
"""

import gzip
import hashlib
import lzma
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mnist_course.errors import InputError
from mnist_course.files import atomic_write

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""Type code → NumPy's name for it."""

MAX_BYTES = 1 << 30
"""A header that promises more than this is refused before any memory is taken."""


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        start = file.read(6)
    if start[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if start == b"\xfd7zXZ\x00":
        return lzma.open(path, "rb")
    return path.open("rb")


def _read_exactly(file: IO[bytes], count: int, path: Path) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise InputError(f"{path} ends inside its header; it is not a whole IDX file")
    return data


def read_idx(
    path: str | os.PathLike[str], *, sha256: str | None = None, max_bytes: int = MAX_BYTES
) -> NDArray[Any]:
    """Read an IDX file, plain or compressed with gzip or xz.

    The values are decompressed straight into the returned array, so the peak memory is the array.

    Parameters
    ----------
    path
        The file. Compression is recognised by the content, not by the name.
    sha256
        Expected SHA-256 of the uncompressed file, in hexadecimal.
    max_bytes
        Largest array that is read.

    Returns
    -------
    ndarray
        Shape and type as the header says, in native byte order.

    Raises
    ------
    InputError
        No such file, not IDX, truncated, too long, too large, damaged, or another checksum.
    """
    path = Path(path)
    try:
        with _open(path) as file:
            return _read_stream(file, path, sha256, max_bytes)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected an IDX file") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; expected an IDX file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise InputError(f"{path} is damaged: {error}; get a fresh copy") from error


def _read_stream(file: IO[bytes], path: Path, sha256: str | None, max_bytes: int) -> NDArray[Any]:
    magic = _read_exactly(file, 4, path)
    if magic[:2] != b"\0\0" or magic[2] not in TYPES or not 1 <= magic[3] <= 8:
        raise InputError(
            f"{path} starts with bytes {magic.hex(' ')}; an IDX file starts with 00 00,"
            " a type code (08 for bytes) and the number of dimensions"
        )
    sizes = _read_exactly(file, 4 * magic[3], path)
    shape = struct.unpack(f">{magic[3]}I", sizes)
    dtype = np.dtype(TYPES[magic[2]])
    expected = math.prod(shape) * dtype.itemsize
    if expected > max_bytes:
        raise InputError(f"{path} claims shape {shape}, {expected} bytes; at most {max_bytes} are read")

    values = np.empty(shape, dtype)
    buffer = values.reshape(-1).view(np.uint8).data
    received = 0
    while received < expected:
        count = file.readinto(buffer[received : received + (1 << 20)])  # type: ignore[attr-defined]
        if not count:
            raise InputError(
                f"{path} is truncated: its header promises {expected} bytes for shape {shape},"
                f" {received} are there; get a fresh copy"
            )
        received += count
    if file.read(1):
        raise InputError(f"{path} goes on after the {expected} bytes its header promises")

    native = values.astype(dtype.newbyteorder("="), copy=False)
    if sha256 is not None:
        require_checksum(native, sha256, path)
    return native


def require_checksum(array: NDArray[Any], sha256: str, path: Path) -> None:
    """Refuse the array read from `path` unless its uncompressed IDX file has the SHA-256 `sha256`.

    Raises
    ------
    InputError
        Another checksum.
    """
    header, values = _encode(array)
    digest = hashlib.sha256(header)
    digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    if digest.hexdigest() != sha256:
        raise InputError(
            f"{path} is damaged or another data set: SHA-256 {digest.hexdigest()[:12]}…,"
            f" expected {sha256[:12]}…; get a fresh copy"
        )


def write_idx(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    """Write `array` as an IDX file, gzip-compressed when the name ends in ``.gz``.

    The same array always gives the same bytes. A failed write leaves no file behind.

    Raises
    ------
    InputError
        IDX has no code for the array's type, or the array has no dimension or more than 255.
    """
    path = Path(path)
    header, values = _encode(array)
    data = header + values.tobytes()
    with atomic_write(path) as temporary:
        temporary.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _encode(array: NDArray[Any]) -> tuple[bytes, NDArray[Any]]:
    """Return the header and the values in the file's byte order, not copied where they are in it."""
    codes = {np.dtype(name): code for code, name in TYPES.items()}
    big_endian = array.dtype.newbyteorder(">")
    if big_endian not in codes:
        raise InputError(f"IDX cannot hold {array.dtype}; use one of uint8, int8, int16, int32, float")
    if not 1 <= array.ndim <= 255:
        raise InputError(f"IDX cannot hold an array with {array.ndim} dimensions")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, codes[big_endian], array.ndim, *array.shape)
    return header, array.astype(big_endian, copy=False)
