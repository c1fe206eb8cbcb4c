"""Capture time, camera and orientation: what files say, and that nothing they say is an error."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcluster.images.decode import decode, quiet_decoders
from imgcluster.images.types import NO_EXIF, Exif, InputSpec

SPEC = InputSpec(width=4, height=4, channels=3)


def photograph(tags: dict[int, Any], details: dict[int, Any], kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif.update(tags)
    exif.get_ifd(0x8769).update(details)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_format_that_has_exif(kind: str) -> None:
    # Pillow writes no EXIF folder into TIFF files.
    tags = {0x010F: "NIKON CORPORATION", 0x0110: "NIKON D90", 0x0112: 6, 0x0132: "2024:05:31 18:30:05"}
    decoded = decode(photograph(tags, {}, kind), SPEC)
    assert decoded.exif == Exif("2024-05-31T18:30:05", "NIKON D90", 6)
    assert (decoded.width, decoded.height) == (6, 8)


@pytest.mark.parametrize(
    ("tags", "details", "captured"),
    [
        ({}, {0x9003: "2024:05:31 18:30:05", 0x9011: "+02:00"}, "2024-05-31T18:30:05+02:00"),
        ({}, {0x9003: "2024:05:31 18:30:05", 0x9011: "CEST"}, "2024-05-31T18:30:05"),
        ({}, {0x9003: "2024:05:31 18:30:05\x00"}, "2024-05-31T18:30:05"),
        ({}, {0x9003: "0000:00:00 00:00:00", 0x9004: "2023:01:02 03:04:05"}, "2023-01-02T03:04:05"),
        ({0x0132: "2022:01:02 03:04:05"}, {}, "2022-01-02T03:04:05"),
        ({}, {0x9003: "    :  :     :  :  "}, ""),
        ({}, {0x9003: "yesterday"}, ""),
    ],
)
def test_the_first_valid_time_is_taken(tags: dict[int, Any], details: dict[int, Any], captured: str) -> None:
    assert decode(photograph(tags, details), SPEC).exif.captured == captured


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("SONY", "ILCE-7M3", "SONY ILCE-7M3"),
        ("Apple", "", "Apple"),
        ("", "iPhone", "iPhone"),
        ("Nikon\x00\x00", " D90\n\x1b[1m ", "Nikon D90 [1m"),
    ],
)
def test_the_camera_is_make_and_model_once(make: str, model: str, camera: str) -> None:
    assert decode(photograph({0x010F: make, 0x0110: model}, {}), SPEC).exif.camera == camera


def test_without_exif_nothing_is_known() -> None:
    assert decode(photograph({}, {}), SPEC).exif == NO_EXIF


@settings(max_examples=60, derandomize=True)
@given(st.binary(max_size=60), st.sampled_from([b"MM\x00*\x00\x00\x00\x08", b"II*\x00\x08\x00\x00\x00"]))
def test_damaged_exif_never_stops_an_image(junk: bytes, start: bytes) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, "JPEG", exif=b"Exif\x00\x00" + start + junk)
    with quiet_decoders():
        decoded = decode(buffer.getvalue(), SPEC)
    assert sorted((decoded.width, decoded.height)) == [6, 8]
    assert decoded.exif.orientation in range(9)


def test_an_impossible_orientation_is_unknown() -> None:
    decoded = decode(photograph({0x0112: 9, 0x010F: 12}, {}), SPEC)
    assert decoded.exif.orientation == 0
    assert (decoded.width, decoded.height) == (8, 6)
