"""Reasons are a few plain sentences, whatever a decoder says, and valid files with odd parts are read."""

from __future__ import annotations

import random
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from imgcluster.images.decode import NeedsMemory, UnreadableImage, decode
from imgcluster.images.formats import sniff
from imgcluster.images.types import InputSpec
from pictures import encoded

SPEC = InputSpec(width=8, height=8, channels=3, resize="stretch")
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO")
FILES = {name: encoded(PICTURE.resize((32, 24)), name) for name in FORMATS}
REASONS = {
    "damaged: the header cannot be read",
    "damaged: the image data is not valid",
    "damaged: the file ends early",
    "not supported: a rare variant of the format",
    "too large to decode safely",
    "too large for this machine's memory",
    "not read because it would take very long",
}


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunk(name: bytes, content: bytes, *, at_end: bool = False) -> bytes:
    data = encoded(PICTURE, "PNG")
    position = len(data) - 12 if at_end else 33
    return data[:position] + chunk(name, content) + data[position:]


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"tEXt", b"workflow\0" + b"x" * 2_000_000),
        (b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 2_000_000)),
        (b"iTXt", b"workflow\0\1\0en\0Ablauf\0" + zlib.compress(b"x" * 2_000_000)),
        (b"iTXt", b"workflow\0\0\0en\0Ablauf\0" + b"x" * 2_000_000),
        (b"zTXt", b"workflow\0\0" + zlib.compress(bytes(50_000_000), 1)),
        (b"iCCP", b"profile\0\0" + zlib.compress(bytes(50_000_000), 1)),
    ],
)
def test_large_texts_in_a_png_are_ignored(name: bytes, content: bytes, at_end: bool) -> None:
    expected = decode(encoded(PICTURE, "PNG"), SPEC).pixels
    np.testing.assert_array_equal(decode(with_chunk(name, content, at_end=at_end), SPEC).pixels, expected)


def test_a_large_color_profile_of_a_png_is_used() -> None:
    # Linear light, so that the colors differ from sRGB.
    small = profile(0)
    large = profile(2_000_000)
    pixels = [
        decode(with_chunk(b"iCCP", b"mine\0\0" + zlib.compress(content)), SPEC).pixels for content in (small, large)
    ]
    np.testing.assert_array_equal(*pixels)
    assert (pixels[0] != decode(encoded(PICTURE, "PNG"), SPEC).pixels).any()


def profile(padding: int) -> bytes:
    """Return a profile of XYZ-based RGB whose curves are linear, with unused bytes at its end."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = struct.unpack(">I", content[128:132])[0]
    for number in range(tags):
        start = 132 + 12 * number
        name, offset, _ = struct.unpack(">4sII", content[start : start + 12])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            content[offset : offset + 12] = b"curv" + bytes(8)
        if name == b"desc":
            content[offset + 8 : offset + 60] = content[offset + 8 : offset + 60].replace(b"s\0R\0G\0B", b"m\0i\0n\0e")
    content += bytes(padding)
    content[:4] = struct.pack(">I", len(content))
    return bytes(content)


def test_short_texts_stay() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (8, 4)), "PNG", exif=exif)
    assert (decode(data, SPEC).width, decode(data, SPEC).height) == (4, 8)


def test_dib_files_are_read() -> None:
    data = encoded(PICTURE, "DIB")
    kind = sniff(data[:64], ".dib").format
    assert kind == "DIB"
    expected = decode(encoded(PICTURE, "BMP"), SPEC).pixels
    np.testing.assert_array_equal(decode(data, SPEC, kind=kind).pixels, expected)
    assert sniff(data[:64], ".txt").format is None


@settings(max_examples=200)
@given(st.sampled_from(FORMATS), st.integers(0, 2**32), st.sampled_from(["header", "anywhere", "cut"]))
def test_damaged_files_get_one_of_a_few_reasons(name: str, seed: int, where: str) -> None:
    generator = random.Random(seed)
    data = bytearray(FILES[name])
    for _ in range(8):
        data[generator.randrange(60 if where == "header" else len(data))] = generator.randrange(256)
    damaged = bytes(data[: generator.randrange(1, len(data))] if where == "cut" else data)
    reason = ""
    try:
        decode(damaged, SPEC, memory=64 << 20)
    except NeedsMemory:
        return
    except UnreadableImage as error:
        reason = str(error)
    assert not reason or reason in REASONS or reason.partition(":")[0] in REASONS
