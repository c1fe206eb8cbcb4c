"""What decoding costs, from the header: slow files are refused, and the memory of all others is known before."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from imgcluster.errors import UsageError
from imgcluster.images.decode import NeedsMemory, UnreadableImage, decode
from imgcluster.images.limits import slow_to_read
from imgcluster.images.types import InputSpec
from imgcluster.machine import memory_bytes, processors
from imgcluster.options import EmbedOptions
from pictures import encoded, noise

SPEC = InputSpec(width=16, height=16, channels=3)
NOISE = noise(64, 48)


def with_scans(count: int) -> bytes:
    """Return a progressive JPEG whose last scan is repeated."""
    data = encoded(NOISE, "JPEG", progressive=True)
    end, last = data.rindex(b"\xff\xd9"), data.rindex(b"\xff\xda")
    return data[:end] + data[last:end] * count + data[end:]


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (with_scans(1500), "15[0-9][0-9] scans"),
        (b"\xff\xd8" + b"\xff" * 1_000_000, "header"),
        (b"\xff\xd8\xff\xe0\0\2" + bytes(1_000_000), "header"),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 100_000, "header"),
        (b"P6\n#" + b"x" * 1_000_000 + b"\n4 4\n255\n" + bytes(48), "header"),
        (b"P6\n4 4\n#" + b"x" * 1_000_000 + b"\n255\n" + bytes(48), "header"),
        (b"P5\n4 4\n2" + b"5" * 1_000_000 + b"\n" + bytes(16), "header"),
        (b"P5 4" + b"\n" * 1_000_000 + b"4 255\n" + bytes(16), "header"),
    ],
)
def test_files_made_to_take_very_long_are_refused(data: bytes, cause: str) -> None:
    with pytest.raises(UnreadableImage, match=cause):
        decode(data, SPEC)


def test_usual_files_are_not_refused() -> None:
    thumbnail = Image.Exif()
    thumbnail[0x0112] = 1
    # A photograph with a film after it, in which any bytes occur.
    film = np.random.default_rng(0).integers(0, 256, 20_000_000, dtype=np.uint8).tobytes()
    profile = film[:500_000].replace(b"\xff\xd9", b"\xff\xda")
    usual = [
        encoded(NOISE, "JPEG", progressive=True),
        encoded(NOISE, "JPEG", exif=thumbnail, icc_profile=profile) + film,
        with_scans(20),
        encoded(NOISE, "PPM"),
        b"P6\n# made by a scanner\n 64 48 # size\n255\n" + NOISE.tobytes() + bytes(100_000),
        b"P1 2 2 1 0 0 1" + b" " * 100_000,
        b"P",
        b"\xff\xd8\xff",
    ]
    assert [slow_to_read(data) for data in usual] == [None] * len(usual)


def test_an_image_says_how_much_memory_it_needs_before_it_is_decoded() -> None:
    data = encoded(Image.new("RGB", (1000, 1000)), "PNG")
    with pytest.raises(NeedsMemory) as refused:
        decode(data, SPEC, memory=1_000_000)
    assert 3_000_000 <= refused.value.memory <= 20_000_000
    assert decode(data, SPEC, memory=refused.value.memory).width == 1000


def test_a_large_jpeg_needs_the_memory_of_its_reduced_size() -> None:
    data = encoded(Image.new("RGB", (4000, 4000)), "JPEG")
    assert decode(data, SPEC, memory=4_000_000).pixels.shape == (16, 16, 3)


def gray16(side: int) -> bytes:
    """Return a PNG of 16-bit gray values, compressed to almost nothing."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    row = b"\0" + (np.arange(side) * 7).astype(">u2").tobytes()
    header = struct.pack(">IIBBBBB", side, side, 16, 0, 0, 0, 0)
    pixels = zlib.compress(row * side, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_images_of_more_than_eight_bits_are_converted_in_little_memory() -> None:
    data = gray16(2500)
    tracemalloc.start()
    try:
        decoded = decode(data, InputSpec(width=2500, height=2500, channels=1, resize="stretch"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    expected = np.rint((np.arange(2500) * 7 % 65536) * (255 / 65535))
    np.testing.assert_array_equal(decoded.pixels[:, :, 0], np.broadcast_to(expected, (2500, 2500)))
    # NumPy's arrays, without Pillow's image: the result, and strips of it.
    assert peak < 50_000_000


@pytest.mark.parametrize("mode", ["I", "F"])
def test_strips_share_one_range(mode: str) -> None:
    values = np.linspace(-5, 1000, 1500 * 700).reshape(1500, 700)
    picture = Image.fromarray(values.astype(np.int32 if mode == "I" else np.float32))
    stream = io.BytesIO()
    picture.save(stream, "TIFF")
    decoded = decode(stream.getvalue(), InputSpec(width=700, height=1500, channels=1, resize="stretch"))
    numbers = np.asarray(picture).astype(np.float64)
    low, high = numbers.min(), numbers.max()
    np.testing.assert_array_equal(decoded.pixels[:, :, 0], np.rint((numbers - low) * (255 / (high - low))))


@pytest.mark.parametrize(
    ("text", "size"), [("16M", 16 << 20), ("4G", 4 << 30), ("1.5 GiB", 3 << 29), ("20000000", 20_000_000)]
)
def test_sizes_of_memory(text: str, size: int) -> None:
    assert EmbedOptions(memory=text).memory_bytes == size


@pytest.mark.parametrize("text", ["", "much", "-1G", "1M", "4X", "nan", "1e9"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--memory"):
        EmbedOptions(memory=text)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_time_limit_is_positive(seconds: float) -> None:
    with pytest.raises(UsageError, match="--read-timeout"):
        EmbedOptions(read_timeout=seconds)


def test_the_default_is_an_eighth_of_the_memory() -> None:
    assert EmbedOptions().memory_bytes == memory_bytes() // 8
    assert 1 << 26 < memory_bytes() < 1 << 50
    assert processors() >= 1
