"""Contrast and sharpness: ordered by blur, the same at every size, and defined for every picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageFilter

import pictures
from imgcluster.images.quality import QUALITY_PROBLEMS, contrast, quality_problems, sharpness


def scene(side: int = 512, seed: int = 0) -> Image.Image:
    """Return rectangles of random gray on each other, as sharp as can be."""
    random = np.random.default_rng(seed)
    pixels = np.full((side, side, 3), 128, np.uint8)
    for _ in range(60):
        left, top = random.integers(0, side, 2)
        width, height = random.integers(side // 16, side // 3, 2)
        pixels[top : top + height, left : left + width] = random.integers(0, 256, 3)
    return Image.fromarray(pixels)


def blurred(picture: Image.Image, share: float) -> Image.Image:
    """Return a picture blurred by a Gaussian of this share of its longer side."""
    return picture.filter(ImageFilter.GaussianBlur(share * max(picture.size)))


@pytest.mark.parametrize("seed", range(3))
def test_sharpness_falls_with_blur(seed: int) -> None:
    values = [sharpness(blurred(scene(seed=seed), share)) for share in (0, 0.005, 0.01, 0.02)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.5
    assert values[3] < 0.3


@pytest.mark.parametrize("share", [0.0, 0.006, 0.02])
@pytest.mark.parametrize("side", [256, 700, 1500])
def test_sharpness_does_not_depend_on_size(share: float, side: int) -> None:
    picture = blurred(scene(512), share)
    resized = picture.resize((side, side), Image.Resampling.LANCZOS)
    assert sharpness(resized) == pytest.approx(sharpness(picture), abs=0.12)


def test_an_enlarged_picture_is_not_sharp() -> None:
    small = scene(48)
    assert sharpness(small) > 0.6
    assert sharpness(small.resize((480, 480), Image.Resampling.BICUBIC)) < 0.5


def test_sharpness_does_not_depend_on_brightness_and_contrast() -> None:
    picture = scene()
    faint = picture.point(lambda value: 100 + value // 4)
    assert sharpness(faint) == pytest.approx(sharpness(picture), abs=0.1)


@pytest.mark.parametrize(
    "picture",
    [
        pictures.flat((10, 20, 30)),
        pictures.flat((255, 255, 255), (2000, 3)),
        pictures.flat(0, (300, 300), "L"),
        pictures.noise(12, 12),
        Image.new("RGB", (1, 1)),
    ],
)
def test_pictures_without_edges_have_no_sharpness(picture: Image.Image) -> None:
    assert math.isnan(sharpness(picture))


def test_contrast() -> None:
    assert contrast(np.full((4, 4, 3), 77)) == 0
    assert contrast(np.array([[[0, 0, 0], [255, 255, 255]]])) == pytest.approx(0.5)
    # Red and green of the same gray value differ.
    assert contrast(np.array([[[255, 0, 0], [0, 130, 0]]])) > 0.2


def test_problems_of_quality() -> None:
    statistics = {
        "": (0.5, 0.3, 0.2, 0.8),
        "blurred": (0.5, 0.3, 0.2, 0.1),
        "dark": (0.05, 0.1, 0.1, 0.8),
        "bright": (0.95, 0.1, 0.1, 0.8),
        "low-contrast": (0.5, 0.1, 0.03, 0.8),
        "single-color": (0.5, 0.1, 0.0, math.nan),
    }
    sizes = np.full((len(statistics), 2), 300, np.int32)
    found = quality_problems(np.array([*statistics.values()], np.float32), sizes)
    assert tuple(found) == QUALITY_PROBLEMS
    for row, name in enumerate(statistics):
        assert [problem for problem in found if found[problem][row]] == ([name] if name else [])


def test_a_large_picture_without_edges_is_blurred() -> None:
    soft = np.array([[0.5, 0.3, 0.2, math.nan]] * 3, np.float32)
    sizes = np.array([[300, 300], [20, 20], [3000, 90]], np.int32)
    assert quality_problems(soft, sizes)["blurred"].tolist() == [True, False, False]


def test_what_was_not_measured_is_no_problem() -> None:
    unknown = np.full((1, 4), np.nan, np.float32)
    assert not any(problem.any() for problem in quality_problems(unknown, np.zeros((1, 2), np.int32)).values())
