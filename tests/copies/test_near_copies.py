"""Near-copies are told from other photographs, parts of the same one, and other photographs of its scene."""

from __future__ import annotations

import io
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pictures
from benchmarks.image_changes import CHANGES, changed, distant_crops, second_photograph
from imgcluster.copies.near_copies import NEAR_COPY, structural_agreement
from imgcluster.copies.signatures import SIGNATURE_SPEC, Signatures, orientation_invariants, signature
from imgcluster.images.decode import decode

PHOTOS = sorted((Path(__file__).parents[2] / "examples/photos").glob("*.jpg"))


@cache
def photo(number: int) -> Image.Image:
    return Image.open(PHOTOS[number]).convert("RGB")


def file_of(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def signatures(*images: Image.Image | bytes) -> Signatures:
    decoded = [decode(image if isinstance(image, bytes) else file_of(image), SIGNATURE_SPEC) for image in images]
    parts = [signature(image.pixels) for image in decoded]
    sizes = np.array([[image.width, image.height] for image in decoded], np.int32)
    return Signatures(np.stack([gray for gray, _ in parts]), np.stack([color for _, color in parts]), sizes)


def scores(*images: Image.Image | bytes) -> list[float]:
    """Return the agreement of the first image with each of the others."""
    pairs = np.array([(0, other) for other in range(1, len(images))])
    return [float(score) for score in structural_agreement(signatures(*images), pairs)]


@pytest.mark.parametrize("kind", CHANGES)
def test_light_and_medium_changes_are_near_copies(kind: str) -> None:
    for number in range(0, 60, 12):
        random = np.random.default_rng(number)
        copies = [changed(photo(number), kind, strength, random)[0] for strength in (0, 1)]
        found = scores(photo(number), *copies)
        assert min(found) >= NEAR_COPY, (number, found)


@pytest.mark.parametrize("orientation", pictures.ORIENTATIONS)
def test_turned_and_mirrored_copies_are_near_copies(orientation: int) -> None:
    stored = Image.open(io.BytesIO(pictures.turned(photo(3), orientation, "PNG")))
    stored.info.pop("exif", None)
    assert scores(photo(3), Image.fromarray(np.asarray(stored)))[0] > 0.98


def test_other_photographs_are_not() -> None:
    shown = signatures(*[photo(number) for number in range(60)])
    assert structural_agreement(shown, np.array(list(combinations(range(60), 2)))).max() < NEAR_COPY


def test_parts_that_share_little_are_not() -> None:
    for number in range(0, 60, 15):
        images = [photo(number), *distant_crops(photo(number))]
        pairs = np.array(list(combinations(range(len(images)), 2)))
        assert structural_agreement(signatures(*images), pairs).max() < NEAR_COPY


def test_a_photograph_from_two_steps_aside_is_not() -> None:
    found = [
        scores(photo(number), second_photograph(photo(number), np.random.default_rng(number)))[0]
        for number in range(0, 60, 5)
    ]
    assert np.mean(np.array(found) >= NEAR_COPY) < 0.2


def test_a_frame_that_moved_aside_is_another_photograph() -> None:
    width, height = photo(3).size
    step = width // 10
    left, right = photo(3).crop((0, 0, width - step, height)), photo(3).crop((step, 0, width, height))
    assert scores(left, right)[0] < NEAR_COPY
    # Each of them is a crop of the whole.
    assert min(scores(photo(3), left, right)) >= NEAR_COPY


@pytest.mark.parametrize("degrees", [90, 180])
def test_another_color_is_not_a_near_copy(degrees: int) -> None:
    x, y = np.meshgrid(np.arange(128), np.arange(96))
    shapes = (np.sin(x / 9) * np.cos(y / 7) > 0) * 90 + 60
    hue = np.full_like(shapes, 10)
    channels = [hue, np.full_like(shapes, 200), shapes]
    one = Image.fromarray(np.stack(channels, axis=2).astype(np.uint8), "HSV").convert("RGB")
    other = Image.fromarray(
        np.stack([hue + degrees * 256 // 360, *channels[1:]], axis=2).astype(np.uint8), "HSV"
    ).convert("RGB")
    gray_one, gray_other = (np.asarray(image.convert("L"), float) for image in (one, other))
    assert np.corrcoef(gray_one.ravel(), gray_other.ravel())[0, 1] > 0.99
    assert scores(one, other)[0] == 0
    assert scores(one, one.convert("L"))[0] > 0.98


@pytest.mark.parametrize(
    "picture", [pictures.flat((30, 60, 90)), pictures.flat(255, (90, 4), "L"), Image.new("RGB", (1, 1))]
)
def test_without_structure_nothing_is_a_near_copy(picture: Image.Image) -> None:
    assert scores(picture, picture, photo(0)) == [0, 0]


def test_noise_is_not_alike() -> None:
    assert scores(*[pictures.noise(64, 64, seed=seed) for seed in range(4)]) == [0, 0, 0]


def test_a_stretched_picture_is_not_a_near_copy() -> None:
    width, height = photo(3).size
    assert scores(photo(3), photo(3).resize((width, height * 2)))[0] == 0
    assert scores(photo(3), photo(3).resize((width, height * 11 // 10)))[0] > 0.95


def test_the_order_of_a_pair_hardly_matters() -> None:
    random = np.random.default_rng(5)
    images: list[Image.Image | bytes] = [photo(7), *(changed(photo(7), kind, 1, random)[0] for kind in CHANGES)]
    there = np.array([(0, other) for other in range(1, len(images))])
    shown = signatures(*images)
    np.testing.assert_allclose(
        structural_agreement(shown, there), structural_agreement(shown, there[:, ::-1]), atol=0.03
    )


def test_scores_do_not_depend_on_the_other_pairs() -> None:
    shown = signatures(
        *[photo(number) for number in range(8)], changed(photo(2), "crop", 1, np.random.default_rng(0))[0]
    )
    pairs = np.array(list(combinations(range(9), 2)))
    together = structural_agreement(shown, pairs)
    alone = [float(structural_agreement(shown, pair[None])[0]) for pair in pairs]
    assert together.tolist() == pytest.approx(alone, abs=1e-4)
    assert structural_agreement(shown, np.empty((0, 2), np.int64)).tolist() == []


def test_invariants_do_not_change_when_an_image_is_turned() -> None:
    upright, *turned = [
        orientation_invariants(signatures(Image.fromarray(np.asarray(photo(5).resize((96, 96))).copy())).gray)
    ] + [
        orientation_invariants(signatures(photo(5).resize((96, 96)).transpose(method)).gray)
        for method in Image.Transpose
    ]
    for found in turned:
        np.testing.assert_allclose(found, upright, atol=1e-3)
