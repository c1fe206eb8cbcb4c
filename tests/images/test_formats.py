"""What the first bytes of a file and its extension say about it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import features

from imgcluster.images.formats import HEAD_BYTES, PILLOW_FORMATS, RAW, FileKind, has_image_extension, sniff
from pictures import encoded, quarters

QUICK = settings(derandomize=True, database=None, max_examples=300)


def written(file_format: str) -> bytes:
    if file_format == "HEIF":
        pytest.importorskip("pillow_heif", reason="pillow-heif is not installed").register_heif_opener()
    if file_format == "AVIF" and not features.check("avif"):
        pytest.skip("this build of Pillow cannot write AVIF")
    if file_format == "JPEG2000" and not features.check("jpg_2000"):
        pytest.skip("this build of Pillow cannot write JPEG 2000")
    return encoded(quarters(), file_format)


class TestByContent:
    @pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF", "JPEG2000"])
    @pytest.mark.parametrize("extension", [".jpg", ".png", ".txt", "", ".heic"])
    def test_the_content_counts_and_not_the_extension(self, file_format: str, extension: str) -> None:
        assert sniff(written(file_format)[:HEAD_BYTES], extension) == FileKind(file_format)

    @pytest.mark.parametrize(
        ("head", "kind"),
        [
            (b"GIF87a", "GIF"),
            (b"MM\x00*\x00\x00\x00\x08", "TIFF"),
            (b"II+\x00\x08\x00\x00\x00", "TIFF"),
            (b"MM\x00+\x00\x08\x00\x00", "TIFF"),
            (b"8BPS\x00\x01", "PSD"),
            (b"\xff\x4f\xff\x51\x00", "JPEG2000"),
            (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "WEBP"),
            (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf", "AVIF"),
            (b"\x00\x00\x00\x1cftypavis\x00\x00\x00\x00avismsf1miaf", "AVIF"),
            (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf", "AVIF"),
            (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIF"),
            (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "HEIF"),
        ],
    )
    def test_known_beginnings(self, head: bytes, kind: str) -> None:
        assert sniff(head, ".dat") == FileKind(kind)

    @pytest.mark.parametrize(
        ("file_format", "extension"), [("BMP", ".bmp"), ("BMP", ".dib"), ("PPM", ".ppm"), ("ICO", ".ico")]
    )
    def test_short_signatures_count_under_their_own_extension(self, file_format: str, extension: str) -> None:
        assert sniff(encoded(quarters(), file_format)[:HEAD_BYTES], extension) == FileKind(file_format)

    @pytest.mark.parametrize("head", [b"BMW is a maker of cars", b"P1 and P2 are points", b"\x00\x00\x01\x00\x00"])
    def test_short_signatures_claim_no_other_file(self, head: bytes) -> None:
        assert sniff(head, ".txt") == FileKind(None)

    def test_a_bmp_under_the_name_of_another_image_is_read_as_one(self) -> None:
        assert sniff(encoded(quarters(), "BMP")[:HEAD_BYTES], ".jpg") == FileKind("BMP")

    @QUICK
    @given(
        st.binary(max_size=HEAD_BYTES), st.sampled_from(["", ".txt", ".jpg", ".nef", ".bmp", ".svg", ".jxl", ".mp4"])
    )
    def test_every_answer_can_be_acted_on(self, head: bytes, extension: str) -> None:
        kind = sniff(head, extension)

        assert kind.format is None or kind.format in (*PILLOW_FORMATS, RAW)
        assert kind.format is None or kind.problem is None
        if has_image_extension("a" + extension):
            assert kind.format or kind.problem

    @QUICK
    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=HEAD_BYTES))
    @example("README: CREDITS and more")
    @example("12345678CR")
    def test_plain_text_is_nobodys_image(self, text: str) -> None:
        if text.startswith(("GIF87a", "GIF89a", "8BPS", "RIFF", "IIRO", "IIRS", "MMOR")) or text[4:8] == "ftyp":
            return
        assert sniff(text.encode(), ".txt") == FileKind(None)


class TestOtherFiles:
    @pytest.mark.parametrize(
        ("head", "extension"),
        [
            (b"II*\x00\x10\x00\x00\x00CR\x02\x00", ".cr2"),
            (b"II*\x00\x10\x00\x00\x00CR\x02\x00", ".tif"),
            (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", ".cr3"),
            (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", ""),
            (b"II*\x00\x08\x00\x00\x00", ".dng"),
            (b"MM\x00*\x00\x00\x00\x08", ".nef"),
            (b"IIRO\x08\x00\x00\x00", ".orf"),
            (b"IIU\x00\x08\x00\x00\x00", ".rw2"),
            (b"FUJIFILMCCD-RAW 0201", ".raf"),
        ],
    )
    def test_camera_raw(self, head: bytes, extension: str) -> None:
        assert sniff(head, extension) == FileKind(RAW)

    @pytest.mark.parametrize("extension", [".nef", ".raw", ".dng"])
    def test_a_jpeg_under_the_name_of_a_raw_file_is_a_jpeg(self, extension: str) -> None:
        assert sniff(encoded(quarters(), "JPEG")[:HEAD_BYTES], extension) == FileKind("JPEG")

    def test_a_jpeg_whose_comment_reads_like_a_raw_signature_is_a_jpeg(self) -> None:
        head = b"\xff\xd8\xff\xfe\x00\x20  CREATOR: some program"

        assert sniff(head, ".jpg") == FileKind("JPEG")

    @pytest.mark.parametrize("head", [b"\xff\x0a\x00", b"\x00\x00\x00\x0cJXL \r\n\x87\n\x00"])
    def test_jpeg_xl(self, head: bytes) -> None:
        assert sniff(head, ".jxl") == FileKind("JXL")

    def test_svg(self) -> None:
        kind = sniff(b"<svg xmlns=", ".svg")

        assert kind == FileKind(None, "vector drawings (SVG) are not supported; export it as PNG")

    @pytest.mark.parametrize("extension", [".jpg", ".png", ".heic", ".bmp"])
    def test_an_empty_image_file(self, extension: str) -> None:
        assert sniff(b"", extension) == FileKind(None, "the file is empty")

    @pytest.mark.parametrize(
        ("head", "start"),
        [(b"hello, I am no picture", "hello, I"), (b"\n <html>\n", "<html>"), (b"\x00\x01\x02abc", ""), (b"\n\n", "")],
    )
    def test_text_named_as_an_image_is_quoted(self, head: bytes, start: str) -> None:
        problem = sniff(head, ".jpg").problem

        assert problem is not None
        assert problem.partition(" (")[0] == "named .jpg but its content is not an image"
        assert (f'"{start}"' in problem) == bool(start)
        assert problem.isprintable()

    @pytest.mark.parametrize(
        ("head", "extension"),
        [
            (b"", ""),
            (b"", ".txt"),
            (b"%PDF-1.7", ".pdf"),
            (b"%!PS-Adobe-3.0 EPSF-3.0", ".eps"),
            (b"RIFF\x10\x00\x00\x00WAVEfmt ", ".wav"),
            (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42", ".mp4"),
            (b"PK\x03\x04", ".zip"),
        ],
    )
    def test_other_files_are_passed_over_in_silence(self, head: bytes, extension: str) -> None:
        assert sniff(head, extension) == FileKind(None)


class TestExtensions:
    @pytest.mark.parametrize("name", ["a.jpg", "A.JPEG", "b.Png", "dir/c.heic", "x.tar.webp", "raw.NEF", ".x.tif"])
    def test_images(self, name: str) -> None:
        assert has_image_extension(name)

    @pytest.mark.parametrize("name", ["", "a", "jpg", ".jpg", "a.txt", "a.jpg.txt", "dir.jpg/a", "a.mp4"])
    def test_others(self, name: str) -> None:
        assert not has_image_extension(name)


def test_no_format_runs_programs() -> None:
    assert not {"EPS", "WMF", "FPX"} & set(PILLOW_FORMATS)
