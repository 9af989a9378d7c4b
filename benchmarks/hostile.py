"""Requests that nobody means well with, and pictures as files, for the service's tests."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def as_file(array, kind="PNG", **options):
    content = io.BytesIO()
    Image.fromarray(array).save(content, kind, **options)
    return content.getvalue()


def with_size(png, width, height):
    """Return a PNG whose header, checksum and all, claims another size."""
    header = b"IHDR" + struct.pack(">II", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def with_scans(count):
    """Return a progressive JPEG of 2048×2048 pixels with `count` more scans than it needs."""
    jpeg = as_file(np.zeros((2048, 2048), np.uint8), "JPEG", progressive=True, quality=10)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * count + jpeg[-2:]


def page(images, side=200):
    """Return digits in a row on light paper, uint8 (side, side · number)."""
    paper = np.full((side, side * len(images)), 230, np.uint8)
    for number, image in enumerate(images):
        large = Image.fromarray(image).resize((side // 2, side // 2), Image.Resampling.BICUBIC)
        top, left = side // 4, number * side + side // 4
        part = paper[top : top + side // 2, left : left + side // 2]
        part -= (np.asarray(large) * 0.8).astype(np.uint8)
    return paper


def noise(side):
    """Return a picture of as many specks as there can be."""
    return np.random.default_rng(0).integers(0, 2, (side, side), np.uint8) * 255


def bodies(digit):
    """Name each hostile body: content type, bytes, the status it deserves and a word of the answer."""
    small, large = as_file(digit), as_file(np.zeros((2000, 2000), np.uint8))
    jpeg = as_file(np.kron(digit, np.ones((8, 8), np.uint8)), "JPEG")
    png, jpg = "image/png", "image/jpeg"
    return {
        "text": (png, b"hello", 422, "no PNG"),
        "nothing": (png, b"", 422, "no PNG"),
        "a PDF": (png, b"%PDF-1.7\n%%EOF", 422, "no PNG"),
        "a JPEG that is called PNG": (png, jpeg, 422, "no PNG"),
        "a truncated JPEG": (jpg, jpeg[: len(jpeg) // 2], 422, "damaged"),
        "a truncated PNG": (png, small[:-40], 422, "damaged"),
        "a bomb of 30000×30000": (png, with_size(small, 30_000, 30_000), 422, "pixels"),
        "a bomb of 9000×9000": (png, with_size(small, 9000, 9000), 422, "9000×9000"),
        "a header that claims too much": (png, with_size(small, 1999, 1999), 422, "damaged"),
        "a header that claims too little": (png, with_size(large, 28, 28), 422, "blank"),
        "a header of no pixels": (png, with_size(small, 0, 28), 422, "no PNG"),
        "a JPEG of a thousand scans": (jpg, with_scans(1000), 422, "scans"),
        "a blank picture": (png, as_file(np.full((28, 28), 255, np.uint8)), 422, "blank"),
        "a blank page": (png, as_file(np.full((300, 200), 250, np.uint8)), 422, "no digits"),
        "two digits": (png, as_file(page([digit, digit])), 422, "2 digits"),
        "specks": (png, as_file(noise(1000)), 422, ""),
        "too large": (png, bytes(3 << 20), 413, "1,048,576 bytes"),
        "another type": ("text/html", small, 415, "image/png or image/jpeg"),
        "a form": ("multipart/form-data; boundary=x", small, 415, "multipart/form-data"),
        "no type": ("", small, 415, "image/png"),
    }
