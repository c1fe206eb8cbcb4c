"""Image files made in memory, of every kind people really have, with known content; nothing here is a test.

What Pillow writes is written with Pillow; what it only reads (16-bit colour, small bit depths, profiles of other
colour spaces, damaged headers) is put together byte by byte.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Array = npt.NDArray[Any]

ORIENTATIONS: Final = range(1, 9)
WHITE: Final = (255, 255, 255)

# How a camera that was held so lays the upright picture down; the inverse of what a viewer has to do.
_LAID_DOWN: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """Return `image` as a file of `file_format`."""
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def flat(colour: Any, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> Image.Image:
    """Return a picture of one colour."""
    return Image.new(mode, size, colour)


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    """Return a picture that no turn or flip leaves as it is: red, green, blue and grey quarters."""
    pixels = np.empty((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    pixels[:top, :left] = (200, 40, 40)
    pixels[:top, left:] = (40, 180, 40)
    pixels[top:, :left] = (40, 40, 200)
    pixels[top:, left:] = (230, 230, 230)
    return Image.fromarray(pixels)


def smooth(width: int, height: int) -> Image.Image:
    """Return a picture of gradients and gentle waves, which every resampling treats about alike."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    wave = 0.5 + 0.5 * np.sin(12 * across) * np.cos(9 * down)
    return Image.fromarray((np.stack([across, down, wave], axis=-1) * 255).astype(np.uint8))


def noise(width: int = 48, height: int = 40, seed: int = 0) -> Image.Image:
    """Return random colours; hardly compressible, so that a file cut anywhere lacks pixels."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def turned(upright: Image.Image, orientation: int, file_format: str = "JPEG", **options: Any) -> bytes:
    """Return `upright` as a camera held in EXIF `orientation` stores it."""
    stored = upright.transpose(_LAID_DOWN[orientation]) if orientation in _LAID_DOWN else upright
    return encoded(stored, file_format, exif=exif_orientation(orientation), **options)


def exif_orientation(value: int) -> bytes:
    """Return an EXIF block that holds an orientation and nothing else."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def animation(first: Any, second: Any, file_format: str) -> bytes:
    """Return a GIF, PNG, WebP, TIFF or AVIF of two frames or pages of one colour each."""
    frames = [flat(first), flat(second)]
    options = {} if file_format == "TIFF" else {"duration": 100}
    return encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)


def png(samples: Array, depth: int, colour_type: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of `samples` ``(height, width, channels)`` at 1 to 16 bits each.

    `colour_type` as in the PNG standard: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha; `chunks`
    (name, content) come before the pixels.
    """
    height, width, channels = samples.shape
    if depth < 8:
        bits = (samples.reshape(height, width * channels, 1) >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    else:
        rows = samples.astype(">u2" if depth == 16 else "u1").reshape(height, -1).view(np.uint8)
    raw = b"".join(b"\x00" + row.tobytes() for row in rows)
    return b"".join(
        (
            png_start(width, height, depth, colour_type),
            *(_chunk(name, content) for name, content in chunks),
            _chunk(b"IDAT", zlib.compress(raw)),
            _chunk(b"IEND", b""),
        )
    )


def png_start(width: int, height: int, depth: int = 8, colour_type: int = 2) -> bytes:
    """Return the signature and the header of a PNG of this size, and nothing of its pixels."""
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))


def bomb() -> bytes:
    """Return a PNG of a few bytes that claims 3,600 million pixels."""
    return png_start(60_000, 60_000) + _chunk(b"IDAT", zlib.compress(bytes(64))) + _chunk(b"IEND", b"")


def tiff(samples: Array, *, photometric: int) -> bytes:
    """Return an uncompressed TIFF of unsigned `samples` ``(height, width, channels)``, 8 or 16 bits each.

    `photometric`: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK.
    """
    height, width, channels = samples.shape
    data = samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    bits = struct.pack(f"<{channels}H", *[samples.itemsize * 8] * channels)
    bits_at = 8 + len(data)
    directory_at = bits_at + len(bits) + len(bits) % 2
    inline = channels <= 2
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, int.from_bytes(bits, "little") if inline else bits_at),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 8),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    padding = bytes(directory_at - bits_at - len(bits))
    return b"II*\x00" + struct.pack("<I", directory_at) + data + bits + padding + directory + bytes(4)


def swapped_primaries() -> bytes:
    """Return an ICC profile that is sRGB but for its red and blue, which have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    return profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)


def linear_grey() -> bytes:
    """Return an ICC profile of grey values that are proportional to light."""
    curve = b"curv" + struct.pack(">II", 0, 0)
    return _icc(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve})


def swapped_inks() -> bytes:
    """Return an ICC profile of a press on which cyan and yellow have changed places."""
    nodes = []
    for index in range(16):
        cyan, magenta, yellow, key = ((index >> shift) & 1 for shift in (3, 2, 1, 0))
        inks = (yellow, magenta, cyan)
        nodes += _lab8([(1.0 - ink) * (1.0 - key) for ink in inks])
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if index % 4 == 0 else 0 for index in range(9)))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + bytes(nodes) + identity * 3
    return _icc(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def _icc(device_class: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    text = b"test profile"
    description = b"desc" + struct.pack(">II", 0, len(text) + 1) + text + bytes(1 + 8 + 3 + 67)
    contents = {b"desc": description, b"wtpt": white, b"cprt": b"text" + bytes(4) + b"none\x00", **tags}
    table, body = b"", b""
    start = 128 + 4 + 12 * len(contents)
    for name, content in contents.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = start + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, device_class, space, connection)
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(contents)) + table + body


def _lab8(srgb: list[float]) -> list[int]:
    """Return an sRGB colour, 0 to 1, as L*a*b* (D50) in the 8-bit coding of ICC profiles."""
    linear = [((value + 0.055) / 1.055) ** 2.4 if value > 0.04045 else value / 12.92 for value in srgb]
    to_xyz = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
    xyz = to_xyz @ linear / (0.9642, 1.0, 0.8249)
    x, y, z = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in xyz)
    lab = (116 * y - 16) * 2.55, 500 * (x - y) + 128, 200 * (y - z) + 128
    return [int(min(255, max(0, round(value)))) for value in lab]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
