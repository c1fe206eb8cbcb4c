"""Camera raw files: the preview or the sensor's values, upright, with EXIF, within the limits."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcluster.images import optional_decoders
from imgcluster.images.decode import (
    Decoded,
    NeedsMemory,
    UnreadableImage,
    decode,
    quiet_decoders,
    read_header,
)
from imgcluster.images.exif import exif_of_tiff
from imgcluster.images.formats import RAW
from imgcluster.images.found import FoundFile, found_file
from imgcluster.images.load import Loaded, Skipped, read_image
from imgcluster.images.types import InputSpec
from pictures import encoded, flat, quarters, turned
from raw_files import dng

needs_raw = pytest.mark.skipif(not optional_decoders.can_decode(RAW), reason="rawpy is not installed")
SPEC = InputSpec(width=48, height=32, channels=3)
RED, BLUE = (200, 30, 30), (30, 30, 200)


def difference(decoded: Decoded, size: tuple[int, int] = (48, 32)) -> float:
    expected = np.asarray(quarters(*size), np.float32)
    return float(np.abs(decoded.pixels.astype(np.float32) - expected).mean())


def color(data: bytes) -> str:
    red, _, blue = decode(data, SPEC, kind=RAW).pixels.reshape(-1, 3).mean(axis=0)
    return "red" if red > blue else "blue"


@needs_raw
class TestPixels:
    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_the_sensors_values_come_out_upright(self, orientation: int) -> None:
        decoded = decode(dng(quarters(), orientation=orientation), SPEC, kind=RAW)

        assert difference(decoded) < 50
        assert (decoded.width, decoded.height, decoded.exif.orientation) == (192, 128, orientation)

    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    @pytest.mark.parametrize("has_exif", [False, True])
    def test_a_preview_stored_like_the_sensor_comes_out_upright(self, orientation: int, has_exif: bool) -> None:
        preview = turned(quarters(), orientation, quality=95)
        if not has_exif:
            preview = encoded(Image.open(io.BytesIO(preview)), "JPEG", quality=95, exif=b"")
        decoded = decode(dng(flat(RED, (96, 64)), preview=preview, orientation=orientation), SPEC, kind=RAW)

        assert difference(decoded) < 5
        assert (decoded.width, decoded.height, decoded.exif.orientation) == (192, 128, orientation)

    def test_a_preview_that_is_upright_already_is_not_turned(self) -> None:
        data = dng(flat(RED, (96, 64)), preview=quarters(), orientation=6)

        assert difference(decode(data, SPEC, kind=RAW)) < 5

    def test_the_preview_is_used_if_it_is_large_enough(self) -> None:
        assert color(dng(flat(RED, (96, 64)), preview=flat(BLUE, (72, 48)))) == "blue"
        assert color(dng(flat(RED, (96, 64)), preview=flat(BLUE, (71, 47)))) == "red"

    def test_a_damaged_preview_is_replaced_by_the_sensors_values(self) -> None:
        assert color(dng(flat(RED, (96, 64)), preview=b"\xff\xd8\xff\xe0 junk")) == "red"

    def test_a_file_is_recognized_by_content_and_extension(self, tmp_path: Path) -> None:
        (tmp_path / "a.DNG").write_bytes(dng(quarters()))

        content = read_image(found_file(tmp_path / "a.DNG"), SPEC)
        assert isinstance(content, Loaded)
        assert difference(content.image) < 50


@needs_raw
class TestHeader:
    def test_time_and_camera_are_those_of_the_file(self, tmp_path: Path) -> None:
        data = dng(quarters(), captured="2021:05:12 12:21:21", camera=("Acme", "Acme One"), orientation=8)
        (tmp_path / "a.dng").write_bytes(data)
        header = read_header(tmp_path / "a.dng")

        assert header is not None
        assert header.exif == decode(data, SPEC, kind=RAW).exif
        assert (header.width, header.height) == (192, 128)
        assert (header.exif.captured, header.exif.camera) == ("2021-05-12T12:21:21", "Acme One")

    @pytest.mark.parametrize("start", [b"IIRO", b"IIU\0"])
    def test_signatures_of_manufacturers_hide_nothing(self, start: bytes) -> None:
        data = start + dng(flat(RED), captured="2021:05:12 12:21:21")[4:]

        assert exif_of_tiff(data).captured == "2021-05-12T12:21:21"

    @pytest.mark.parametrize("preview", [None, quarters()])
    def test_no_time_is_no_time(self, preview: Image.Image | None) -> None:
        assert decode(dng(quarters(), preview=preview), SPEC, kind=RAW).exif.captured == ""

    @pytest.mark.parametrize("data", [b"", b"II", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
    def test_a_file_without_a_header_has_none(self, data: bytes, tmp_path: Path) -> None:
        (tmp_path / "a.nef").write_bytes(data)

        assert read_header(tmp_path / "a.nef") is None


@needs_raw
class TestDamage:
    def test_a_size_beyond_the_limit_is_refused(self) -> None:
        with pytest.raises(UnreadableImage, match="^too large"):
            decode(dng(quarters(), size=(60_000, 60_000)), SPEC, kind=RAW)

    def test_the_limit_is_that_of_other_formats(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 192 * 128 // 2 - 1)
        with quiet_decoders(), pytest.raises(UnreadableImage, match="^too large"):
            decode(dng(quarters()), SPEC, kind=RAW)

    @pytest.mark.parametrize("length", [0, 8, 100, 2000])
    def test_a_truncated_file_is_refused(self, length: int) -> None:
        with pytest.raises(UnreadableImage, match="^damaged[:,] "):
            decode(dng(quarters())[:length], SPEC, kind=RAW)

    @settings(derandomize=True, database=None, max_examples=60)
    @given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=4))
    def test_arbitrary_damage_gives_a_picture_or_a_reason(self, changes: list[tuple[float, bytes]]) -> None:
        data = bytearray(dng(quarters(24, 16), preview=quarters(48, 32)))
        for place, junk in changes:
            start = int(place * len(data))
            data[start : start + len(junk)] = junk
        with contextlib.suppress(UnreadableImage):
            assert decode(bytes(data), SPEC, kind=RAW).pixels.shape == (32, 48, 3)


def test_without_rawpy_the_reason_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_decoders, "can_decode", lambda kind: False)
    path = tmp_path / "a.nef"
    path.write_bytes(dng(quarters()))
    result = read_image(FoundFile(str(tmp_path), "a.nef", path.stat().st_size, 0), SPEC)

    assert isinstance(result, Skipped)
    assert "pip install 'imgcluster[raw]'" in result.reason
    assert result.missing is optional_decoders.OPTIONAL_DECODERS[RAW]


@needs_raw
def test_the_sensors_values_need_memory_and_the_preview_hardly_any() -> None:
    large = flat(RED, (960, 640))
    with pytest.raises(NeedsMemory):
        decode(dng(large), SPEC, kind=RAW, memory=10_000_000)
    assert decode(dng(large, preview=quarters()), SPEC, kind=RAW, memory=16_000_000).width == 1920
