"""Decoding: every kind of image file to the colours, the way up and the size that are expected; or a plain reason."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

import pictures
from imgcluster.images import decode as images
from imgcluster.images import optional_decoders
from imgcluster.images.decode import Decoded, UnreadableImage, decode, decode_picture, quiet_decoders
from imgcluster.images.resize import prepare
from imgcluster.images.types import InputSpec
from pictures import WHITE, encoded, flat, noise, quarters, smooth

QUICK = settings(derandomize=True, database=None, max_examples=100)

SMALL = InputSpec(width=16, height=16, channels=3)
GREY = InputSpec(width=16, height=16, channels=1)
SAME = InputSpec(width=96, height=64, channels=3)

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this build of Pillow cannot read AVIF")
needs_heif = pytest.mark.skipif(not optional_decoders.can_decode("HEIF"), reason="pillow-heif is not installed")
needs_jpeg_2000 = pytest.mark.skipif(not features.check("jpg_2000"), reason="this build of Pillow lacks JPEG 2000")

LOSSLESS = ["PNG", "GIF", "BMP", "TIFF", "PPM", pytest.param("JPEG2000", marks=needs_jpeg_2000)]
LOSSY = ["JPEG", "WEBP", pytest.param("AVIF", marks=needs_avif), pytest.param("HEIF", marks=needs_heif)]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet_decoders():
        yield


def colour(data: bytes, spec: InputSpec = SMALL) -> tuple[int, ...]:
    """Decode a picture that ought to be of one colour, and return that."""
    pixels = decode(data, spec).pixels
    assert (pixels == pixels[0, 0]).all()
    return tuple(pixels[0, 0].tolist())


def difference(pixels: npt.NDArray[np.uint8], expected: Image.Image | npt.NDArray[np.uint8]) -> float:
    """Return by how much two pictures differ on average, in steps of 0 to 255."""
    return float(np.abs(pixels.astype(int) - np.asarray(expected).astype(int)).mean())


class TestFormats:
    @pytest.mark.parametrize("file_format", LOSSLESS)
    def test_lossless_ones_give_the_exact_pixels(self, file_format: str) -> None:
        decoded = decode(encoded(quarters(), file_format), SAME)

        assert decoded.pixels.dtype == np.uint8
        np.testing.assert_array_equal(decoded.pixels, np.asarray(quarters()))
        assert (decoded.width, decoded.height) == (96, 64)

    @pytest.mark.parametrize("file_format", LOSSY)
    def test_lossy_ones_come_close(self, file_format: str) -> None:
        decoded = decode(encoded(quarters(), file_format, quality=90), SAME)

        assert difference(decoded.pixels, quarters()) < 3
        assert (decoded.width, decoded.height) == (96, 64)

    def test_lossless_webp(self) -> None:
        picture = noise()

        decoded = decode(encoded(picture, "WEBP", lossless=True), InputSpec(width=48, height=40, channels=3))

        np.testing.assert_array_equal(decoded.pixels, np.asarray(picture))

    def test_an_icon_gives_its_largest_picture(self) -> None:
        decoded = decode(encoded(flat((9, 99, 199), (64, 64)), "ICO"), SMALL)

        assert tuple(decoded.pixels[8, 8]) == (9, 99, 199)
        assert (decoded.width, decoded.height) == (64, 64)

    def test_a_multi_picture_jpeg_gives_its_first(self) -> None:
        data = encoded(flat((200, 0, 0)), "MPO", save_all=True, append_images=[flat((0, 0, 200))])

        assert colour(data) == pytest.approx((200, 0, 0), abs=3)

    @pytest.mark.parametrize(
        "options", [{"progressive": True}, {"optimize": True}, {"subsampling": 0}, {"quality": 98}]
    )
    def test_ways_to_write_a_jpeg(self, options: dict[str, int]) -> None:
        assert difference(decode(encoded(quarters(), "JPEG", **options), SAME).pixels, quarters()) < 4

    def test_a_grey_jpeg(self) -> None:
        assert colour(encoded(flat(77, mode="L"), "JPEG")) == (77, 77, 77)
        assert colour(encoded(flat(77, mode="L"), "JPEG"), GREY) == (77,)

    @pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF", pytest.param("AVIF", marks=needs_avif)])
    def test_of_several_frames_or_pages_the_first_counts(self, file_format: str) -> None:
        data = pictures.animation((220, 30, 30), (30, 30, 220), file_format)

        assert difference(decode(data, SMALL).pixels, flat((220, 30, 30))) < 3

    @pytest.mark.parametrize("text", [b"hello, I am no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
    def test_what_is_no_image_is_refused(self, text: bytes) -> None:
        with pytest.raises(UnreadableImage, match=r"^damaged: the header cannot be read$"):
            decode(text, SMALL)


class TestChannels:
    @pytest.mark.parametrize("file_format", LOSSLESS)
    def test_grey_of_the_right_size_passes_exactly(self, file_format: str) -> None:
        picture = noise(28, 28).convert("L")

        decoded = decode(encoded(picture, file_format), InputSpec(width=28, height=28, channels=1))

        assert decoded.pixels.shape == (28, 28, 1)
        np.testing.assert_array_equal(decoded.pixels[..., 0], np.asarray(picture))

    @pytest.mark.parametrize("resize", ["crop", "stretch", "pad"])
    def test_every_rule_lets_the_right_size_pass(self, resize: str) -> None:
        picture = noise(28, 20)
        spec = InputSpec(width=28, height=20, channels=3, resize=resize)  # type: ignore[arg-type]

        np.testing.assert_array_equal(decode(encoded(picture, "PNG"), spec).pixels, np.asarray(picture))

    def test_grey_becomes_three_equal_channels(self) -> None:
        picture = noise(16, 16).convert("L")

        pixels = decode(encoded(picture, "PNG"), SMALL).pixels

        np.testing.assert_array_equal(pixels, np.repeat(np.asarray(picture)[..., None], 3, axis=2))

    @pytest.mark.parametrize(("rgb", "grey"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), (WHITE, 255)])
    def test_colour_becomes_its_brightness(self, rgb: tuple[int, int, int], grey: int) -> None:
        assert colour(encoded(flat(rgb), "PNG"), GREY) == pytest.approx((grey,), abs=1)

    def test_height_comes_before_width(self) -> None:
        decoded = decode(encoded(quarters(), "PNG"), InputSpec(width=30, height=20, channels=3))

        assert decoded.pixels.shape == (20, 30, 3)


class TestPng:
    def test_palette(self) -> None:
        picture = quarters().convert("P", palette=Image.Palette.ADAPTIVE, colors=8)

        assert difference(decode(encoded(picture, "PNG"), SAME).pixels, quarters()) < 1

    @pytest.mark.parametrize("depth", [1, 2, 4])
    def test_palette_of_few_bits(self, depth: int) -> None:
        palette = (b"PLTE", bytes((10, 20, 30, 200, 100, 50)))
        samples = np.ones((16, 16, 1), np.uint8)

        assert colour(pictures.png(samples, depth, 3, palette)) == (200, 100, 50)

    @pytest.mark.parametrize(("depth", "value", "grey"), [(1, 1, 255), (1, 0, 0), (2, 1, 85), (4, 5, 85), (4, 15, 255)])
    def test_grey_of_few_bits(self, depth: int, value: int, grey: int) -> None:
        samples = np.full((16, 16, 1), value, np.uint8)

        assert colour(pictures.png(samples, depth, 0), GREY) == (grey,)

    @pytest.mark.parametrize(("value", "grey"), [(0, 0), (257, 1), (32896, 128), (51400, 200), (65535, 255)])
    def test_sixteen_bit_grey_is_scaled(self, value: int, grey: int) -> None:
        samples = np.full((16, 16, 1), value, np.uint16)

        assert colour(pictures.png(samples, 16, 0), GREY) == (grey,)

    def test_dark_sixteen_bit_grey_stays_dark(self) -> None:
        samples = np.arange(256, dtype=np.uint16).reshape(16, 16, 1)

        assert decode(pictures.png(samples, 16, 0), GREY).pixels.max() == 1

    def test_sixteen_bit_colour_is_scaled(self) -> None:
        samples = np.full((16, 16, 3), (65535, 32896, 257), np.uint16)

        assert colour(pictures.png(samples, 16, 2)) == pytest.approx((255, 128, 1), abs=1)


class TestTransparency:
    @pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "ICO"])
    def test_alpha_is_composited_on_white(self, file_format: str) -> None:
        options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
        picture = flat((200, 0, 100, 102), mode="RGBA")

        assert colour(encoded(picture, file_format, **options)) == pytest.approx((233, 153, 193), abs=1)

    def test_what_is_fully_transparent_is_white_whatever_colour_lies_below(self) -> None:
        assert colour(encoded(flat((0, 0, 0, 0), mode="RGBA"), "PNG")) == WHITE

    def test_what_is_opaque_keeps_its_colour(self) -> None:
        assert colour(encoded(flat((12, 34, 56, 255), mode="RGBA"), "PNG")) == (12, 34, 56)

    @pytest.mark.parametrize(("depth", "grey", "alpha"), [(8, 100, 51), (16, 100 * 257, 51 * 257)])
    def test_grey_with_alpha(self, depth: int, grey: int, alpha: int) -> None:
        samples = np.full((16, 16, 2), (grey, alpha), np.uint16)

        assert colour(pictures.png(samples, depth, 4), GREY) == pytest.approx((224,), abs=1)

    def test_sixteen_bit_colour_with_alpha(self) -> None:
        samples = np.full((16, 16, 4), (200 * 257, 0, 100 * 257, 102 * 257), np.uint16)

        assert colour(pictures.png(samples, 16, 6)) == pytest.approx((233, 153, 193), abs=2)

    def test_a_transparent_palette_entry(self) -> None:
        chunks = (b"PLTE", bytes((10, 20, 30, 200, 0, 100))), (b"tRNS", bytes((255, 102)))

        assert colour(pictures.png(np.ones((16, 16, 1), np.uint8), 8, 3, *chunks)) == pytest.approx(
            (233, 153, 193), abs=1
        )
        assert colour(pictures.png(np.zeros((16, 16, 1), np.uint8), 8, 3, *chunks)) == (10, 20, 30)

    @pytest.mark.parametrize(
        ("depth", "colour_type", "key", "samples"),
        [(1, 0, (0,), (0,)), (8, 0, (90,), (90,)), (8, 2, (10, 20, 30), (10, 20, 30))],
    )
    def test_a_colour_that_stands_for_transparent(
        self, depth: int, colour_type: int, key: tuple[int, ...], samples: tuple[int, ...]
    ) -> None:
        pixels = np.full((16, 16, len(samples)), samples, np.uint8)
        chunk = (b"tRNS", np.array(key, ">u2").tobytes())

        assert colour(pictures.png(pixels, depth, colour_type, chunk)) == WHITE

    def test_colours_beside_the_transparent_one_stay(self) -> None:
        pixels = np.full((16, 16, 3), (10, 20, 31), np.uint8)
        chunk = (b"tRNS", np.array((10, 20, 30), ">u2").tobytes())

        assert colour(pictures.png(pixels, 8, 2, chunk)) == (10, 20, 31)

    def test_a_transparent_gif(self) -> None:
        picture = Image.new("P", (16, 16), 1)
        picture.putpalette([0, 0, 0, 255, 0, 0])

        assert colour(encoded(picture, "GIF", transparency=1)) == WHITE
        assert colour(encoded(picture, "GIF")) == (255, 0, 0)


class TestDeepSamples:
    @pytest.mark.parametrize(("value", "grey"), [(0, 0), (300, 1), (32896, 128), (65535, 255)])
    def test_sixteen_bit_grey_tiff(self, value: int, grey: int) -> None:
        assert colour(pictures.tiff(np.full((16, 16, 1), value, np.uint16), photometric=1), GREY) == (grey,)

    def test_big_endian_sixteen_bit_grey(self) -> None:
        picture = Image.frombytes("I;16B", (16, 16), np.full(256, 51400, ">u2").tobytes())

        assert colour(encoded(picture, "TIFF"), GREY) == (200,)

    def test_a_sixteen_bit_pgm(self) -> None:
        data = b"P5 16 16 65535\n" + np.full(256, 51400, ">u2").tobytes()

        assert colour(data, GREY) == (200,)

    def test_eight_and_sixteen_bit_colour_tiff(self) -> None:
        samples = np.full((16, 16, 3), (250, 128, 3), np.uint8)

        assert colour(pictures.tiff(samples, photometric=2)) == (250, 128, 3)
        assert colour(pictures.tiff(samples.astype(np.uint16) * 257, photometric=2)) == (250, 128, 3)

    def test_a_tiff_whose_zero_is_white(self) -> None:
        assert colour(pictures.tiff(np.full((16, 16, 1), 55, np.uint8), photometric=0), GREY) == (200,)

    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [(0.0, 1.0, (0, 255)), (0.25, 0.75, (64, 191)), (0, 200, (0, 200)), (-5, 5, (0, 255))],
    )
    def test_floats_count_from_the_range_they_seem_to_use(
        self, low: float, high: float, expected: tuple[int, int]
    ) -> None:
        values = np.full((16, 16), low, np.float32)
        values[8:] = high

        pixels = decode(encoded(Image.fromarray(values), "TIFF"), GREY).pixels

        assert (pixels[0, 0, 0], pixels[15, 0, 0]) == expected

    def test_what_is_no_number_is_black(self) -> None:
        values = np.full((16, 16), 1.0, np.float32)
        values[:8] = np.nan

        pixels = decode(encoded(Image.fromarray(values), "TIFF"), GREY).pixels

        assert pixels[0, 0, 0] == 0
        assert pixels[15, 0, 0] == 255

    @pytest.mark.parametrize("value", [-7.5, 0.0, 0.5, 2.5, 300.0, 1e30])
    def test_floats_that_are_all_the_same_are_a_picture_too(self, value: float) -> None:
        decoded = decode(encoded(Image.fromarray(np.full((16, 16), value, np.float32)), "TIFF"), GREY)

        assert np.ptp(decoded.pixels) == 0

    @pytest.mark.parametrize("value", [-9, 0, 200, 40_000, 2_000_000])
    def test_integers_that_are_all_the_same_are_a_picture_too(self, value: int) -> None:
        decoded = decode(encoded(Image.fromarray(np.full((16, 16), value, np.int32)), "TIFF"), GREY)

        assert np.ptp(decoded.pixels) == 0


class TestCmyk:
    INKS = (
        ((0, 0, 0, 0), WHITE),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 0, 128), (127, 127, 127)),
    )

    @pytest.mark.parametrize(("inks", "rgb"), INKS)
    @pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
    def test_without_a_profile(self, file_format: str, inks: tuple[int, ...], rgb: tuple[int, ...]) -> None:
        assert colour(encoded(flat(inks, mode="CMYK"), file_format)) == pytest.approx(rgb, abs=3)

    @pytest.mark.parametrize(("inks", "rgb"), INKS[:4])
    @pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
    def test_with_the_profile_of_a_press(self, file_format: str, inks: tuple[int, ...], rgb: tuple[int, ...]) -> None:
        data = encoded(flat(inks, mode="CMYK"), file_format, icc_profile=pictures.swapped_inks())

        # The press of this profile has exchanged cyan and yellow: red and blue of the result change places.
        assert colour(data) == pytest.approx(rgb[::-1], abs=12)

    def test_to_grey(self) -> None:
        assert colour(encoded(flat((0, 0, 0, 55), mode="CMYK"), "TIFF"), GREY) == pytest.approx((200,), abs=1)

    def test_a_cmyk_picture_is_shrunk_like_any_other(self) -> None:
        data = encoded(quarters(960, 640).convert("CMYK"), "JPEG", quality=90)

        decoded = decode(data, SAME)

        assert difference(decoded.pixels, quarters()) < 4
        assert (decoded.width, decoded.height) == (960, 640)

    def test_the_border_of_pad_is_grey(self) -> None:
        data = encoded(flat((0, 0, 0, 0), (64, 16), "CMYK"), "TIFF")

        pixels = decode(data, InputSpec(width=16, height=16, channels=3, resize="pad")).pixels

        assert pixels[0, 0].tolist() == pytest.approx([127] * 3, abs=1)


class TestColourProfiles:
    @pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "WEBP"])
    def test_pixels_are_converted_to_srgb(self, file_format: str) -> None:
        options = {"lossless": True} if file_format == "WEBP" else {}
        data = encoded(flat((255, 0, 0)), file_format, icc_profile=pictures.swapped_primaries(), **options)

        assert colour(data) == pytest.approx((0, 0, 255), abs=8)

    @needs_avif
    def test_avif_too(self) -> None:
        data = encoded(flat((255, 0, 0)), "AVIF", icc_profile=pictures.swapped_primaries())

        assert colour(data) == pytest.approx((0, 0, 255), abs=8)

    @needs_heif
    def test_heic_too(self) -> None:
        data = encoded(flat((255, 0, 0), (64, 64)), "HEIF", icc_profile=pictures.swapped_primaries())

        assert colour(data) == pytest.approx((0, 0, 255), abs=8)

    def test_grey_has_profiles_of_its_own(self) -> None:
        data = encoded(flat(55, mode="L"), "PNG", icc_profile=pictures.linear_grey())

        # 55/255 of the light is 128 in sRGB's curve.
        assert colour(data, GREY) == pytest.approx((128,), abs=2)
        assert colour(data) == pytest.approx((128, 128, 128), abs=2)

    def test_srgb_itself_changes_nothing(self) -> None:
        picture = noise(16, 16)
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

        np.testing.assert_array_equal(
            decode(encoded(picture, "PNG", icc_profile=profile), SMALL).pixels, np.asarray(picture)
        )

    def test_transparent_stays_white(self) -> None:
        data = encoded(flat((255, 0, 0, 0), mode="RGBA"), "PNG", icc_profile=pictures.swapped_primaries())

        assert colour(data) == pytest.approx(WHITE, abs=1)

    def test_a_palette_is_converted_as_well(self) -> None:
        picture = Image.new("P", (16, 16), 1)
        picture.putpalette([0, 0, 0, 255, 0, 0])

        data = encoded(picture, "PNG", icc_profile=pictures.swapped_primaries())

        assert colour(data) == pytest.approx((0, 0, 255), abs=3)

    @pytest.mark.parametrize("mode", ["L", "CMYK"])
    def test_a_profile_for_other_channels_is_ignored(self, mode: str) -> None:
        picture = flat((255, 0, 0)).convert(mode)

        with_profile = encoded(picture, "TIFF", icc_profile=pictures.swapped_primaries())

        assert colour(with_profile) == colour(encoded(picture, "TIFF"))

    @QUICK
    @given(st.integers(0, 600), st.binary(max_size=40))
    def test_a_broken_profile_costs_no_picture(self, start: int, junk: bytes) -> None:
        profile = pictures.swapped_primaries()
        broken = profile[:start] + junk + profile[start + len(junk) :]

        assert decode(encoded(flat((10, 200, 30)), "PNG", icc_profile=broken), SMALL).pixels.shape == (16, 16, 3)

    @pytest.mark.parametrize("profile", [b"no profile at all", b"\0" * 128, pictures.swapped_primaries()[:200]])
    def test_of_a_broken_profile_nothing_is_used(self, profile: bytes) -> None:
        assert colour(encoded(flat((10, 200, 30)), "PNG", icc_profile=profile)) == (10, 200, 30)


class TestOrientation:
    @pytest.mark.parametrize("orientation", pictures.ORIENTATIONS)
    @pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", pytest.param("AVIF", marks=needs_avif)])
    def test_all_eight_come_upright(self, file_format: str, orientation: int) -> None:
        decoded = decode(pictures.turned(quarters(), orientation, file_format), SAME)

        assert difference(decoded.pixels, quarters()) < 4
        assert (decoded.width, decoded.height) == (96, 64)

    @needs_heif
    @pytest.mark.parametrize("orientation", pictures.ORIENTATIONS)
    def test_heic(self, orientation: int) -> None:
        decoded = decode(pictures.turned(quarters(128, 64), orientation, "HEIF", quality=90), SAME)

        assert difference(decoded.pixels, quarters(96, 64)) < 5
        assert (decoded.width, decoded.height) == (128, 64)

    @pytest.mark.parametrize("orientation", pictures.ORIENTATIONS)
    def test_sides_are_those_of_the_target_after_turning(self, orientation: int) -> None:
        spec = InputSpec(width=20, height=60, channels=3, resize="stretch", filter="nearest")

        decoded = decode(pictures.turned(quarters(1200, 800), orientation, quality=95), spec)

        assert difference(decoded.pixels, quarters(20, 60)) < 3
        assert (decoded.width, decoded.height) == (1200, 800)

    @pytest.mark.parametrize("value", [0, 9, 255])
    def test_a_value_that_means_nothing_is_ignored(self, value: int) -> None:
        data = encoded(quarters(), "PNG", exif=pictures.exif_orientation(value))

        np.testing.assert_array_equal(decode(data, SAME).pixels, np.asarray(quarters()))

    @pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 40])
    def test_broken_metadata_costs_no_picture(self, exif: bytes) -> None:
        data = encoded(quarters(), "JPEG", exif=exif)

        assert difference(decode(data, SAME).pixels, quarters()) < 4


class TestReducedDecoding:
    @pytest.mark.parametrize("size", [(1600, 1200), (1603, 1201), (2400, 700), (500, 1500)])
    @pytest.mark.parametrize("resize", ["crop", "stretch", "pad"])
    def test_a_jpeg_looks_as_after_a_full_decode(self, size: tuple[int, int], resize: str) -> None:
        spec = InputSpec(width=64, height=64, channels=3, resize=resize)  # type: ignore[arg-type]
        data = encoded(smooth(*size), "JPEG", quality=95, subsampling=0)
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            full = encoded(image, "PNG", compress_level=0)

        reduced = decode(data, spec)

        assert difference(reduced.pixels, decode(full, spec).pixels) < 1.5
        assert (reduced.width, reduced.height) == size

    def test_a_small_target_costs_no_full_decode(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[tuple[int, int]] = []

        def watched(picture: Image.Image, spec: InputSpec) -> Image.Image:
            sizes.append(picture.size)
            return prepare(picture, spec)

        monkeypatch.setattr(images, "prepare", watched)
        data = encoded(smooth(1600, 1200), "JPEG")

        for side in (64, 128, 500):
            decode(data, InputSpec(width=side, height=side, channels=3))

        assert sizes == [(200, 150), (400, 300), (1600, 1200)]

    def test_a_target_of_the_pictures_own_size_is_decoded_in_full(self) -> None:
        picture = smooth(96, 64)
        data = encoded(picture, "JPEG", quality=95, subsampling=0)

        assert difference(decode(data, SAME).pixels, picture) < 2


# What a machine in the field meets: files cut off while they were copied. Formats that end in padding or in a
# trailer nobody needs are whole without their last bytes.
@functools.cache
def whole_file(file_format: str) -> bytes:
    return encoded(noise(), file_format)


DAMAGEABLE = [
    "JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP",
    pytest.param("AVIF", marks=needs_avif),
    pytest.param("HEIF", marks=needs_heif),
    pytest.param("JPEG2000", marks=needs_jpeg_2000),
]  # fmt: skip


class TestDamage:
    @pytest.mark.parametrize("part", [0.1, 0.4, 0.7, 0.95])
    @pytest.mark.parametrize("file_format", DAMAGEABLE)
    def test_a_truncated_file_is_refused_in_one_line(self, file_format: str, part: float) -> None:
        data = whole_file(file_format)

        with pytest.raises(UnreadableImage, match=r"\Adamaged[^\n]*: [^\n]+\Z"):
            decode(data[: int(len(data) * part)], SMALL)

    @pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 8, 16])
    @pytest.mark.parametrize("file_format", DAMAGEABLE)
    def test_a_file_that_stops_in_its_header_is_refused(self, file_format: str, length: int) -> None:
        with pytest.raises(UnreadableImage, match=r"^damaged"):
            decode(whole_file(file_format)[:length], SMALL)

    def test_a_decompression_bomb_is_refused(self) -> None:
        with pytest.raises(UnreadableImage, match=r"^too large to decode safely: 3,600 megapixels, the limit is 179"):
            decode(pictures.bomb(), SMALL)

    def test_out_of_memory_costs_one_picture(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: object) -> None:
            raise MemoryError

        monkeypatch.setattr(images, "prepare", fail)

        with pytest.raises(UnreadableImage, match=r"^too large for this machine's memory$"):
            decode(encoded(quarters(), "PNG"), SMALL)

    @settings(QUICK, max_examples=200)
    @given(
        st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP"]),
        st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=6)), max_size=4),
        st.floats(0, 1),
        st.booleans(),
    )
    def test_arbitrary_damage_gives_a_picture_or_a_reason(
        self, file_format: str, changes: list[tuple[float, bytes]], part: float, front: bool
    ) -> None:
        data = bytearray(whole_file(file_format))
        # The first bytes hold sizes and offsets; damage there is the more interesting kind.
        reach = min(len(data), 120) if front else len(data)
        for place, junk in changes:
            start = int(place * reach)
            data[start : start + len(junk)] = junk
        if part < 0.5:
            del data[int(len(data) * part * 2) :]

        reason, pixels = "", None
        try:
            pixels = decode(bytes(data), SMALL).pixels
        except UnreadableImage as error:
            reason = str(error)
        if pixels is None:
            assert reason
            assert "\n" not in reason
        else:
            assert pixels.dtype == np.uint8
            assert pixels.shape[2] == 3

    @QUICK
    @given(
        st.binary(max_size=200),
        st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM"]),
    )
    def test_arbitrary_bytes_are_no_picture_but_do_no_harm(self, junk: bytes, magic: bytes) -> None:
        try:
            decoded = decode(magic + junk, SMALL)
        except UnreadableImage:
            return
        assert isinstance(decoded, Decoded)


class TestMissingDecoders:
    def test_heic_names_the_extra_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(optional_decoders, "can_decode", lambda kind: False)

        with pytest.raises(UnreadableImage, match=r"^HEIC .* pip install 'imgcluster\[heif\]'$"):
            decode(b"\x00\x00\x00\x18ftypheic", SMALL, kind="HEIF")

    def test_avif_names_what_to_upgrade(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(images.features, "check", lambda name: False)

        with pytest.raises(UnreadableImage, match="cannot read AVIF: pip install --upgrade pillow"):
            decode(b"\x00\x00\x00\x1cftypavif", SMALL, kind="AVIF")

    # Missing, or a folder left by an uninstallation, which imports as an empty module.
    @pytest.mark.parametrize("state", ["None", "types.ModuleType('pillow_heif')"])
    def test_without_pillow_heif_only_heic_is_lost(self, tmp_path: Path, state: str) -> None:
        for file_format in ("JPEG", "PNG", "PPM"):
            (tmp_path / file_format).write_bytes(encoded(flat((90, 90, 90)), file_format))
        (tmp_path / "text").write_bytes(b"hello, I am no picture")
        (tmp_path / "HEIF").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
        script = """
            import logging, pathlib, sys, types
            logging.basicConfig()
            logging.getLogger("imgcluster").setLevel("DEBUG")
            sys.modules["pillow_heif"] = eval(sys.argv[2])
            from imgcluster.images.decode import UnreadableImage, decode
            from imgcluster.images.types import InputSpec
            for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
                kind = None if path.name == "text" else path.name
                try:
                    decoded = decode(path.read_bytes(), InputSpec(width=16, height=16, channels=3), kind=kind)
                    print(path.name, decoded.pixels.min(), decoded.pixels.max())
                except UnreadableImage as reason:
                    print(path.name, reason)
        """

        command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), state]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

        assert result.stdout.splitlines() == [
            "HEIF HEIC files need an additional decoder: pip install 'imgcluster[heif]'",
            "JPEG 90 90",
            "PNG 90 90",
            "PPM 90 90",
            "text damaged: the header cannot be read",
        ]
        # Details name a package that does not work, but none that is only missing.
        assert ("pillow_heif is incomplete" in result.stderr) == (state != "None")
        assert "not installed" not in result.stderr


class TestQuietDecoders:
    def test_odd_files_warn_without_it_and_are_silent_with_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 64 - 1)
        data = encoded(quarters(), "PNG")

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UnreadableImage) as refused:
                decode(data, SAME)
            assert "exceeds limit" in refused.value.detail
            with quiet_decoders():
                decode(data, SAME)

    def test_the_filters_are_put_back(self) -> None:
        with warnings.catch_warnings():
            warnings.resetwarnings()
            with quiet_decoders():
                assert warnings.filters
            assert not warnings.filters


class TestLooks:
    @pytest.mark.parametrize(
        ("rgb", "brightness", "colourfulness"),
        [
            ((0, 0, 0), 0, 0),
            ((255, 255, 255), 1, 0),
            ((128, 128, 128), 128 / 255, 0),
            ((255, 0, 0), 0.299, 1),
            ((200, 30, 30), (0.299 * 200 + 0.701 * 30) / 255, 170 / 255),
        ],
    )
    def test_of_one_colour(self, rgb: tuple[int, int, int], brightness: float, colourfulness: float) -> None:
        decoded = decode(encoded(flat(rgb), "PNG"), SMALL)

        assert decoded.brightness == pytest.approx(brightness, abs=0.01)
        assert decoded.color == pytest.approx(colourfulness, abs=0.01)

    @pytest.mark.parametrize("spec", [SMALL, GREY, SAME], ids=["small", "grey", "same"])
    def test_the_picture_counts_and_not_what_the_encoder_sees_of_it(self, spec: InputSpec) -> None:
        decoded = decode(encoded(flat((255, 0, 0)), "PNG"), spec)

        assert decoded.brightness == pytest.approx(0.299, abs=0.01)
        assert decoded.color == pytest.approx(1, abs=0.01)

    def test_half_and_half(self) -> None:
        picture = Image.new("RGB", (64, 64), "black")
        picture.paste((0, 0, 255), (0, 0, 64, 32))
        decoded = decode(encoded(picture, "PNG"), SMALL)

        assert decoded.color == pytest.approx(0.5, abs=0.02)
        assert decoded.brightness == pytest.approx(0.114 / 2, abs=0.01)

    @pytest.mark.parametrize(
        ("picture", "file_format"),
        [
            (Image.new("L", (9, 9), 64), "PNG"),
            (Image.new("I;16", (9, 9), 64 * 257), "PNG"),
            (Image.new("LA", (9, 9), (64, 255)), "PNG"),
            (Image.new("CMYK", (9, 9), (0, 0, 0, 191)), "TIFF"),
            (Image.new("F", (9, 9), 64 / 255), "TIFF"),
        ],
        ids=["grey", "16 bits", "alpha", "ink", "fractions"],
    )
    def test_grey_in_every_mode(self, picture: Image.Image, file_format: str) -> None:
        decoded = decode(encoded(picture, file_format), SMALL)

        assert decoded.brightness == pytest.approx(64 / 255, abs=0.01)
        assert decoded.color == 0

    def test_what_is_transparent_is_white(self) -> None:
        decoded = decode(encoded(Image.new("RGBA", (9, 9), (255, 0, 0, 0)), "PNG"), SMALL)

        assert (decoded.brightness, decoded.color) == (1, 0)

    @pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (1600, 1200)])
    def test_any_size(self, size: tuple[int, int]) -> None:
        decoded = decode(encoded(flat((9, 9, 9), size), "PNG"), SMALL)

        assert decoded.brightness == pytest.approx(9 / 255, abs=0.001)


class TestDecodePicture:
    @pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "I;16", "1"])
    def test_a_pillow_image_gives_what_its_file_gives(self, file_format: str, mode: str) -> None:
        picture = noise(40, 30).convert("L" if mode == "I;16" else mode)
        if mode == "I;16":
            picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
        try:
            data = encoded(picture, file_format)
        except OSError:
            pytest.skip(f"{file_format} files have no mode {mode}")

        with Image.open(io.BytesIO(data)) as opened:
            # Loaded in full, so that only the pixels are compared, not the reduced sizes of JPEG.
            spec = InputSpec(width=40, height=30, channels=3)
            np.testing.assert_array_equal(decode_picture(opened, spec).pixels, decode(data, spec).pixels)

    def test_the_callers_image_does_not_change(self) -> None:
        with Image.open(io.BytesIO(encoded(noise(400, 300), "JPEG"))) as opened:
            before = opened.size, opened.mode

            assert decode_picture(opened, SMALL).pixels.shape == (SMALL.height, SMALL.width, SMALL.channels)
            assert (opened.size, opened.mode) == before

    def test_a_truncated_image_is_unreadable(self) -> None:
        with (
            Image.open(io.BytesIO(encoded(noise(96, 96), "JPEG")[:2000])) as opened,
            pytest.raises(UnreadableImage, match="^damaged"),
        ):
            decode_picture(opened, SMALL)
