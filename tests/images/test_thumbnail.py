"""Thumbnails are made while an image is decoded, and any bytes in their place are harmless."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from imgcluster.images.decode import decode
from imgcluster.images.thumbnail import THUMBNAIL_SIDE, make_thumbnail, read_thumbnail
from imgcluster.images.types import InputSpec

SPEC = InputSpec(width=8, height=8, channels=3)


def saved(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize(("size", "side"), [((300, 200), 128), ((1, 1), 1), ((20, 500), 20)])
def test_every_mode_and_size(mode: str, size: tuple[int, int], side: int) -> None:
    data = saved(Image.new(mode, size), format="TIFF")
    thumbnail = decode(data, SPEC, thumbnail=True).thumbnail
    with Image.open(io.BytesIO(thumbnail)) as image:
        assert image.size == (side, side)
    tile = read_thumbnail(thumbnail, 64)
    assert tile is not None
    assert tile.shape == (64, 64, 3)


def test_it_shows_the_upright_centered_square() -> None:
    picture = Image.new("RGB", (400, 200), "red")
    picture.paste("blue", (100, 0, 300, 100))
    exif = Image.Exif()
    exif[0x0112] = 3
    thumbnail = decode(saved(picture, format="JPEG", exif=exif, quality=95), SPEC, thumbnail=True).thumbnail
    tile = read_thumbnail(thumbnail, THUMBNAIL_SIDE)
    assert tile is not None
    assert np.allclose(tile[10, 64], (254, 0, 0), atol=12)
    assert np.allclose(tile[118, 64], (0, 0, 254), atol=12)


def test_the_pixels_for_the_encoder_do_not_depend_on_it() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (700, 900, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), format="JPEG")
    assert np.array_equal(decode(data, SPEC).pixels, decode(data, SPEC, thumbnail=True).pixels)
    assert decode(data, SPEC).thumbnail == b""


@given(st.binary(max_size=200))
def test_damaged_bytes(data: bytes) -> None:
    whole = make_thumbnail(Image.new("RGB", (20, 20)))
    for damaged in (data, whole[: len(data)], whole[:20] + data):
        read_thumbnail(damaged, 16)
    assert read_thumbnail(data, 16) is None
    # A larger picture than `make_thumbnail` makes is not decoded, nor are more bytes.
    assert read_thumbnail(whole + bytes(1 << 17), 16) is None
    assert read_thumbnail(saved(Image.new("RGB", (500, 500)), format="JPEG"), 16) is None


def test_a_small_square_file_is_its_own_thumbnail() -> None:
    digit = Image.fromarray(np.arange(28 * 28, dtype=np.uint16).astype(np.uint8).reshape(28, 28))
    data = saved(digit, format="PNG")
    assert decode(data, SPEC, thumbnail=True).thumbnail == data
    tile = read_thumbnail(data, 28)
    assert tile is not None
    assert np.array_equal(tile[:, :, 0], np.asarray(digit))


@pytest.mark.parametrize("options", ["turned", "transparent", "wide", "large", "profile", "16 bit", "GIF"])
def test_any_other_file_is_not(options: str) -> None:
    picture = Image.new("L", (28, 28), 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = {
        "turned": saved(picture, format="PNG", exif=exif),
        "transparent": saved(picture, format="PNG", transparency=200),
        "wide": saved(picture.resize((28, 20)), format="PNG"),
        "large": saved(picture, format="PNG") + bytes(5000),
        "profile": saved(picture, format="PNG", icc_profile=profile),
        "16 bit": saved(Image.new("I;16", (28, 28), 60_000), format="PNG"),
        "GIF": saved(picture, format="GIF"),
    }[options]
    thumbnail = decode(data, SPEC, thumbnail=True).thumbnail
    assert thumbnail != data
    assert read_thumbnail(thumbnail, 28) is not None
