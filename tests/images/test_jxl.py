"""JPEG XL: the size from the header, orientation, repacked JPEG files, and the limits."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcluster.images import optional_decoders
from imgcluster.images.decode import UnreadableImage, decode, read_header
from imgcluster.images.found import FoundFile
from imgcluster.images.jxl import is_jxl, jxl_size
from imgcluster.images.load import Skipped, read_image
from imgcluster.images.types import InputSpec
from pictures import encoded, exif_orientation, flat, quarters, turned

needs_jxl = pytest.mark.skipif(not optional_decoders.can_decode("JXL"), reason="pillow-jxl-plugin is not installed")
SPEC = InputSpec(width=96, height=64, channels=3)
QUICK = settings(derandomize=True, database=None, max_examples=200)


def jxl_header(width: int, height: int) -> bytes:
    """Return the start of a JPEG XL file that claims this size, each side in 30 bits."""
    bits = 0b110 | (height - 1) << 3 | 0b11 << 36 | (width - 1) << 38
    return b"\xff\x0a" + bits.to_bytes(9, "little")


def boxed(*parts: bytes) -> bytes:
    """Return a file of boxes with a codestream in `parts`."""
    boxes = [b"JXL \r\n\x87\n", b"ftypjxl \0\0\0\0jxl "]
    boxes += [b"jxlp" + number.to_bytes(4, "big") + part for number, part in enumerate(parts)]
    return b"".join((len(box) + 4).to_bytes(4, "big") + box for box in boxes)


@needs_jxl
class TestPixels:
    @pytest.mark.parametrize("size", [(96, 64), (8, 8), (7, 5), (300, 200), (640, 360), (1000, 33), (256, 512)])
    @pytest.mark.parametrize("container", [False, True])
    def test_the_size_in_the_header_is_that_of_the_image(self, size: tuple[int, int], container: bool) -> None:
        data = encoded(flat((9, 99, 199), size), "JXL", use_container=container, effort=1)

        assert jxl_size(data) == size
        assert decode(data, SPEC).pixels.reshape(-1, 3).mean(axis=0) == pytest.approx((9, 99, 199), abs=8)

    @pytest.mark.parametrize("orientation", [1, 3, 6])
    def test_exif_does_not_turn_an_image_that_the_decoder_turns(self, orientation: int, tmp_path: Path) -> None:
        data = encoded(quarters(), "JXL", lossless=True, exif=exif_orientation(orientation))
        (tmp_path / "a.jxl").write_bytes(data)
        decoded, header = decode(data, SPEC), read_header(tmp_path / "a.jxl")

        assert decoded.pixels.tobytes() == quarters().tobytes()
        assert header is not None
        assert (header.width, header.height) == (decoded.width, decoded.height) == (96, 64)

    @pytest.mark.parametrize("orientation", [1, 3, 6])
    def test_a_repacked_jpeg_is_turned_like_the_jpeg(self, orientation: int, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(turned(quarters(), orientation, quality=95))
        with warnings.catch_warnings(), Image.open(tmp_path / "a.jpg") as image:
            warnings.simplefilter("ignore")
            image.save(tmp_path / "a.jxl", "JXL")

        repacked, jpeg = (decode((tmp_path / name).read_bytes(), SPEC) for name in ("a.jxl", "a.jpg"))
        assert (repacked.pixels == jpeg.pixels).all()
        assert repacked.exif == jpeg.exif
        assert read_header(tmp_path / "a.jxl") == read_header(tmp_path / "a.jpg")

    @pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
    def test_every_mode_is_read(self, mode: str) -> None:
        data = encoded(Image.new(mode, (8, 6)), "JXL")

        assert decode(data, SPEC, kind="JXL").pixels.shape == (64, 96, 3)


@needs_jxl
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused_in_one_line(part: float) -> None:
    data = encoded(quarters(), "JXL", lossless=True)

    with pytest.raises(UnreadableImage, match=r"\Adamaged[^\n]*\Z"):
        decode(data[: int(len(data) * part)], SPEC)


class TestHeader:
    @pytest.mark.parametrize("data", [jxl_header(60_000, 50_000), boxed(jxl_header(60_000, 50_000))])
    def test_a_size_beyond_the_limit_is_refused_before_decoding(self, data: bytes) -> None:
        with pytest.raises(UnreadableImage, match="^too large to decode safely: 3,000 megapixels"):
            decode(data, SPEC)

    def test_a_header_in_many_parts(self) -> None:
        header = jxl_header(60_000, 50_000)

        assert jxl_size(boxed(header[:1], header[1:4], b"", header[4:])) == (60_000, 50_000)

    @QUICK
    @given(st.binary(max_size=40), st.sampled_from([b"\xff\x0a", boxed(), boxed(b"\xff\x0a")]))
    def test_arbitrary_bytes_have_a_size_or_none(self, junk: bytes, start: bytes) -> None:
        assert is_jxl(start + junk)
        try:
            width, height = jxl_size(start + junk)
        except ValueError:
            return
        assert width >= 0 < height


def test_without_the_decoder_the_reason_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional_decoders, "can_decode", lambda kind: False)
    (tmp_path / "a.jxl").write_bytes(jxl_header(8, 8))
    result = read_image(FoundFile(str(tmp_path), "a.jxl", 11, 0), SPEC)

    assert isinstance(result, Skipped)
    assert "pip install 'imgcluster[jxl]'" in result.reason
