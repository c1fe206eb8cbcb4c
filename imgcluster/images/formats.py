"""Detecting image formats from the first bytes of a file and its extension; nothing is decoded here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

__all__ = [
    "HEAD_BYTES",
    "PILLOW_FORMATS",
    "RAW",
    "FileKind",
    "has_image_extension",
    "is_jpeg_name",
    "is_raw_name",
    "sniff",
]

HEAD_BYTES: Final = 64
"""The number of bytes from the start of a file that `sniff` needs."""

PILLOW_FORMATS: Final = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "HEIF", "JPEG2000", "JXL", "PPM", "ICO", "PSD",
)  # fmt: skip
"""Pillow's names of the decoders that may be tried; formats that run programs (EPS) or load files are left out."""

RAW: Final = "RAW"
"""The format of all camera raw files."""

_STRONG: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JXL"),
    (b"8BPS", "PSD"),
)

# A BMP file whose header has one of these sizes is recognized without its extension.
_BMP_HEADER_SIZES: Final = {12, 40, 52, 56, 64, 108, 124}

# Signatures of two or three bytes count only if the file has an image extension.
_WEAK: Final = (
    (b"BM", "BMP"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\xff\x0a", "JXL"),
    *((b"P%d" % digit, "PPM") for digit in range(1, 7)),
)

_RAW_EXTENSIONS: Final = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef",
    ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
}  # fmt: skip
_RAW_MAGIC: Final = (b"IIRO", b"IIRS", b"MMOR", b"IIU\x00", b"FUJIFILMCCD-RAW")

_RAW_ENDINGS: Final = tuple(sorted(_RAW_EXTENSIONS))

_JPEG_EXTENSIONS: Final = {".jpg", ".jpeg", ".jpe", ".jfif"}

_IMAGE_EXTENSIONS: Final = _RAW_EXTENSIONS | _JPEG_EXTENSIONS | {
    ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".avif", ".avifs", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx", ".jxl", ".pbm", ".pgm", ".ppm", ".pnm",
    ".ico", ".psd", ".svg",
}  # fmt: skip

_AVIF_BRANDS: Final = {b"avif", b"avis"}
_HEIF_BRANDS: Final = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}


@dataclass(frozen=True, slots=True)
class FileKind:
    """The kind of a file, detected from its first bytes and its name.

    Attributes:
        format: A name in `PILLOW_FORMATS`, or `RAW`, if the file should be decoded, else None.
        problem: Why an image file cannot be read. None, together with `format` None, if the file is not an image.
    """

    format: str | None
    problem: str | None = None


def has_image_extension(name: str) -> bool:
    """Return whether the name has the extension of an image."""
    return os.path.splitext(name)[1].lower() in _IMAGE_EXTENSIONS


def is_raw_name(name: str) -> bool:
    """Return whether the name has the extension of a camera raw file."""
    # Every file is looked at, and the end of its name is found faster than its extension.
    return name.lower().endswith(_RAW_ENDINGS) and os.path.splitext(name)[1] != ""


def is_jpeg_name(name: str) -> bool:
    """Return whether the name has the extension of a JPEG."""
    return os.path.splitext(name)[1].lower() in _JPEG_EXTENSIONS


def sniff(head: bytes, extension: str) -> FileKind:
    """Detect the kind of a file from its first `HEAD_BYTES` bytes; `extension` is lower case with its dot."""
    canon = head.startswith(b"II*\x00") and head[8:10] == b"CR"
    if canon or head.startswith(_RAW_MAGIC) or head[4:11] == b"ftypcrx":
        return FileKind(RAW)
    for magic, name in _STRONG:
        if head.startswith(magic):
            # Most camera raw formats are based on TIFF.
            return FileKind(RAW) if name == "TIFF" and extension in _RAW_EXTENSIONS else FileKind(name)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FileKind("WEBP")
    if head[4:8] == b"ftyp":
        brands = {head[start : start + 4] for start in range(8, len(head) - 3, 4)}
        if brands & _AVIF_BRANDS:
            return FileKind("AVIF")
        if brands & _HEIF_BRANDS:
            return FileKind("HEIF")
    if extension in _RAW_EXTENSIONS:
        return FileKind(RAW)
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return FileKind("BMP")
    if extension == ".dib" and int.from_bytes(head[:4], "little") in _BMP_HEADER_SIZES:
        return FileKind("DIB")
    for magic, name in _WEAK:
        if extension in _IMAGE_EXTENSIONS and head.startswith(magic):
            return FileKind(name)
    if extension == ".svg":
        return FileKind(None, "vector drawings (SVG) are not supported; export it as PNG")
    if extension not in _IMAGE_EXTENSIONS:
        return FileKind(None)
    if not head:
        return FileKind(None, "the file is empty")
    text = " ".join(head[:8].decode("ascii", errors="replace").split())
    start = f' (it starts with "{text}")' if text.isprintable() and text.isascii() and text else ""
    return FileKind(None, f"named {extension} but its content is not an image{start}")
