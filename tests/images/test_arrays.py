"""Images as files: rounding, tiles and colours."""

from __future__ import annotations

import numpy as np
from PIL import Image

from imgcluster.images.arrays import merge_chrominance, tile, to_pixels, write_png


def test_values_are_rounded_and_clipped() -> None:
    values = np.array([-1.0, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 2.0], dtype=np.float32)
    assert to_pixels(values).tolist() == [0, 0, 0, 1, 255, 255]


def test_tiles_are_in_reading_order_and_the_rest_is_white() -> None:
    images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(2, axis=1).repeat(3, axis=2)
    picture = tile(images)[:, :, 0]
    assert picture.shape == (4, 9)
    assert picture[::2, ::3].tolist() == [[0, 1, 2], [3, 4, 255]]


def test_luminance_and_chrominance_are_pillows() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    planes = np.asarray(Image.fromarray(pixels[0]).convert("YCbCr"), dtype=np.float32)[np.newaxis] / 255
    made = to_pixels(merge_chrominance(planes[..., :1], planes[..., 1:]))
    assert np.abs(made.astype(int) - pixels).max() <= 3


def test_grey_and_colour_are_written_as_such(tmp_path) -> None:
    for channels, mode in ((1, "L"), (3, "RGB")):
        write_png(tmp_path / "deep" / "a.png", np.full((2, 3, channels), 7, dtype=np.uint8))
        with Image.open(tmp_path / "deep" / "a.png") as picture:
            assert (picture.mode, picture.size) == (mode, (3, 2))
