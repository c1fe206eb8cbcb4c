"""The geometry of resizing, and what passes through untouched."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcluster.errors import UsageError
from imgcluster.images.resize import prepare
from imgcluster.images.types import InputSpec
from imgcluster.types import FILTERS, RESIZE_RULES
from pictures import noise, quarters, smooth

QUICK = settings(derandomize=True, database=None, max_examples=150)
SIDES = st.integers(1, 60)


def spec(width: int, height: int, resize: str = "crop", **options: object) -> InputSpec:
    return InputSpec(width=width, height=height, channels=3, resize=resize, **options)  # type: ignore[arg-type]


class TestInputSpec:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"width": 0}, "0×8 px"),
            ({"height": -3}, "8×-3 px"),
            ({"channels": 2}, "^2 .*channels"),
            ({"channels": 4}, "^4 .*channels"),
            ({"resize": "zoom"}, "resize rule 'zoom' is unknown; choose one of crop, stretch, pad"),
            ({"filter": "sharp"}, "filter 'sharp' is unknown; choose one of nearest, bilinear, bicubic, lanczos"),
            ({"crop_fraction": 0.0}, "crop fraction 0.0"),
            ({"crop_fraction": 1.01}, "crop fraction 1.01 is not allowed"),
            ({"crop_fraction": float("nan")}, "crop fraction nan is not allowed"),
        ],
    )
    def test_what_cannot_be_is_refused(self, change: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            InputSpec(**({"width": 8, "height": 8, "channels": 3} | change))  # type: ignore[arg-type]

    @pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
    def test_mode(self, channels: int, mode: str) -> None:
        assert InputSpec(width=1, height=1, channels=channels).mode == mode


class TestSourceBox:
    @pytest.mark.parametrize(
        ("target", "size", "fraction", "box"),
        [
            ((10, 10), (40, 20), 1.0, (10, 0, 30, 20)),
            ((10, 10), (20, 40), 1.0, (0, 10, 20, 30)),
            ((20, 10), (40, 40), 1.0, (0, 10, 40, 30)),
            ((10, 10), (40, 40), 0.5, (10, 10, 30, 30)),
            ((10, 10), (5, 5), 1.0, (0, 0, 5, 5)),
        ],
    )
    def test_crop_is_centred(
        self, target: tuple[int, int], size: tuple[int, int], fraction: float, box: tuple[float, ...]
    ) -> None:
        assert spec(*target, crop_fraction=fraction).source_box(*size) == pytest.approx(box)

    @pytest.mark.parametrize("resize", ["stretch", "pad"])
    def test_the_other_rules_see_everything(self, resize: str) -> None:
        assert spec(10, 10, resize, crop_fraction=0.5).source_box(37, 11) == (0, 0, 37, 11)

    @QUICK
    @given(SIDES, SIDES, st.integers(1, 5000), st.integers(1, 5000), st.floats(0.05, 1.0))
    def test_crop_lies_inside_in_the_right_shape(
        self, width: int, height: int, source_width: int, source_height: int, fraction: float
    ) -> None:
        left, upper, right, lower = spec(width, height, crop_fraction=fraction).source_box(source_width, source_height)

        assert 0 <= left < right <= source_width
        assert 0 <= upper < lower <= source_height
        assert (right - left) * height == pytest.approx((lower - upper) * width, rel=1e-6)
        assert max((right - left) / source_width, (lower - upper) / source_height) == pytest.approx(fraction)
        assert left == pytest.approx(source_width - right, abs=1e-6)
        assert upper == pytest.approx(source_height - lower, abs=1e-6)


class TestPrepare:
    @pytest.mark.parametrize("resize", RESIZE_RULES)
    @pytest.mark.parametrize("resample", FILTERS)
    @pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
    def test_the_right_size_passes_pixel_for_pixel(self, resize: str, resample: str, mode: str) -> None:
        picture = noise(28, 17).convert(mode)

        prepared = prepare(picture, spec(28, 17, resize, filter=resample))

        assert prepared.mode == mode
        np.testing.assert_array_equal(np.asarray(prepared), np.asarray(picture))

    @QUICK
    @given(
        SIDES, SIDES, st.integers(1, 200), st.integers(1, 200),
        st.sampled_from(RESIZE_RULES), st.sampled_from(list(FILTERS)), st.floats(0.01, 1.0),
    )  # fmt: skip
    def test_any_picture_gets_the_size_that_was_asked_for(
        self, width: int, height: int, source_width: int, source_height: int, resize: str, resample: str, part: float
    ) -> None:
        picture = Image.new("RGB", (source_width, source_height), (9, 90, 200))

        prepared = prepare(picture, spec(width, height, resize, filter=resample, crop_fraction=part))

        assert (prepared.size, prepared.mode) == ((width, height), "RGB")
        assert (np.asarray(prepared) == (9, 90, 200)).all(axis=-1).any()

    def test_the_picture_itself_is_left_alone(self) -> None:
        picture = noise(40, 30)
        before = picture.tobytes()

        for resize in RESIZE_RULES:
            prepare(picture, spec(12, 12, resize))

        assert picture.tobytes() == before

    def test_crop_cuts_the_sides_of_a_wide_picture(self) -> None:
        picture = Image.new("RGB", (40, 10), "red")
        picture.paste((0, 0, 255), (15, 0, 25, 10))

        prepared = np.asarray(prepare(picture, spec(10, 10, filter="nearest")))

        assert (prepared == (0, 0, 255)).all()

    def test_crop_keeps_the_aspect_ratio(self) -> None:
        prepared = np.asarray(prepare(quarters(120, 80), spec(20, 20, filter="nearest")))

        expected = np.asarray(quarters(20, 20))
        np.testing.assert_array_equal(prepared, expected)

    def test_stretch_keeps_everything_and_not_the_aspect_ratio(self) -> None:
        prepared = np.asarray(prepare(quarters(120, 80), spec(10, 30, "stretch", filter="nearest")))

        np.testing.assert_array_equal(prepared, np.asarray(quarters(10, 30)))

    @pytest.mark.parametrize(
        ("size", "inside"), [((120, 60), np.s_[5:15, :]), ((60, 120), np.s_[:, 5:15]), ((2, 1), np.s_[5:15, :])]
    )
    def test_pad_keeps_everything_on_grey(self, size: tuple[int, int], inside: tuple[slice, slice]) -> None:
        picture = Image.new("RGB", size, (250, 10, 10))

        prepared = np.asarray(prepare(picture, spec(20, 20, "pad")))

        expected = np.full((20, 20, 3), 127, np.uint8)
        expected[inside] = (250, 10, 10)
        np.testing.assert_array_equal(prepared, expected)

    @pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
    def test_the_border_of_pad_is_the_same_grey_in_every_mode(self, mode: str) -> None:
        picture = Image.new("RGB", (40, 10), "white").convert(mode)

        prepared = np.asarray(prepare(picture, spec(20, 20, "pad")).convert("RGB"))

        assert np.abs(prepared[0].astype(int) - 127).max() <= 1

    def test_a_sliver_keeps_at_least_one_pixel_under_pad(self) -> None:
        prepared = np.asarray(prepare(Image.new("RGB", (1000, 1), "white"), spec(20, 20, "pad")))

        assert (prepared == 255).all(axis=-1).sum() == 20

    @pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as on Linux")
    def test_the_center_of_a_sliver_is_resized_in_two_steps_without_the_rest(self) -> None:
        picture = Image.new("RGB", (1, 20_000), "red")
        picture.paste((0, 0, 255), (0, 9_998, 1, 10_002))
        # The whole of it would have 1.3 billion pixels.
        script = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from PIL import Image
from imgcluster.images.resize import prepare
from imgcluster.images.types import InputSpec
picture = Image.frombytes("RGB", (1, 20_000), sys.stdin.buffer.read())
spec = InputSpec(width=224, height=224, channels=3, resize="crop", resize_edge=256)
sys.stdout.buffer.write(prepare(picture, spec).tobytes())
"""

        result = subprocess.run(
            [sys.executable, "-c", script], input=picture.tobytes(), capture_output=True, check=False
        )

        assert result.stderr == b""
        prepared = np.frombuffer(result.stdout, np.uint8).reshape(224, 224, 3)
        assert (prepared == (0, 0, 255)).all()

    def test_shrinking_averages_instead_of_picking(self) -> None:
        board = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))

        prepared = np.asarray(prepare(board, InputSpec(width=8, height=8, channels=1)))

        assert np.abs(prepared.astype(int) - 127).max() <= 2

    def test_a_crop_fraction_zooms_in(self) -> None:
        picture = smooth(80, 80)

        prepared = np.asarray(prepare(picture, spec(40, 40, crop_fraction=0.5)))

        np.testing.assert_array_equal(prepared, np.asarray(picture.crop((20, 20, 60, 60))))
