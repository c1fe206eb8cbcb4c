"""Transforms do what their descriptions say, to the input only or to input and target."""

from __future__ import annotations

from typing import get_args

import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.data.augmentation import apply_transforms  # noqa: E402
from imgcluster_training.recipe.transforms import (  # noqa: E402
    Affine,
    ColorJitter,
    Crop,
    Erase,
    Flip,
    GaussianNoise,
    QuarterTurns,
    SaltAndPepper,
    Transform,
)


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(64, 3, 8, 8)


@pytest.mark.parametrize("transform", [kind() for kind in get_args(Transform)], ids=lambda transform: transform.type)
def test_shape_range_and_the_original_are_kept(images, transform):
    before = images.clone()
    result = apply_transforms(images, [transform])
    assert result.shape == images.shape
    assert result.dtype == torch.float32
    assert result.min() >= 0
    assert result.max() <= 1
    assert torch.equal(images, before)


def test_flips_are_flips_of_about_half(images):
    result = apply_transforms(images, [Flip()])
    flipped = [torch.equal(a, b.flip(2)) for a, b in zip(result, images, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(result, images, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 16 < sum(flipped) < 48


def test_quarter_turns_are_all_four(images):
    result = apply_transforms(images, [QuarterTurns()])
    turns = [
        next(turn for turn in range(4) if torch.equal(a, b.rot90(turn, (1, 2))))
        for a, b in zip(result, images, strict=True)
    ]
    assert set(turns) == {0, 1, 2, 3}


def test_salt_and_pepper_changes_a_fifth_of_the_pixels_in_all_channels():
    gray = torch.full((20, 3, 32, 32), 0.5)
    result = apply_transforms(gray, [SaltAndPepper(amount=0.2)])
    changed = result != 0.5
    assert changed.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert (result == 1).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(changed[:, 0], changed[:, 2])


def test_affine_of_nothing_is_the_identity_and_a_turn_is_a_turn(images):
    torch.testing.assert_close(apply_transforms(images, [Affine()]), images)
    moved = apply_transforms(images, [Affine(degrees=10, translate=0.1, scale=0.1, shear=10)])
    assert (moved - images).abs().max() > 0.1


def test_a_whole_crop_is_the_image_and_a_part_is_a_part(images):
    # Of the whole area only the shape is drawn, and that is cut to the image.
    ramp = torch.linspace(0, 1, 32).expand(200, 1, 32, 32)
    parts = apply_transforms(ramp, [Crop(area=0.25, side=0.5)])
    assert parts.shape == (200, 1, 16, 16)
    width = (parts[:, 0, 0, -1] - parts[:, 0, 0, 0]) * 16 / 15
    assert 0.4 < width.min() < 0.5
    assert 0.9 < width.max() < 1.05
    assert parts[:, 0, 0, 0].min() < 0.1
    assert parts[:, 0, 0, -1].max() > 0.9
    assert apply_transforms(images, [Crop(area=1.0)]).shape == images.shape


def test_color_jitter_of_nothing_is_the_identity_and_gray_is_gray(images):
    unchanged = ColorJitter(brightness=0, contrast=0, saturation=0, hue=0, gray=0)
    torch.testing.assert_close(apply_transforms(images, [unchanged]), images)
    none = ColorJitter(probability=0, gray=0)
    torch.testing.assert_close(apply_transforms(images, [none]), images)
    gray = apply_transforms(images, [ColorJitter(probability=0, gray=1)])
    luma = (images * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1)
    for channel in range(3):
        torch.testing.assert_close(gray[:, channel], luma, atol=1e-4, rtol=1e-4)


def test_a_turned_hue_keeps_the_brightness_and_half_a_turn_is_the_other_color():
    color = torch.tensor([0.5, 0.4, 0.45])[None, :, None, None].repeat(100, 1, 2, 2)
    turned = apply_transforms(
        color, [ColorJitter(brightness=0, contrast=0, saturation=0, hue=0.5, probability=1, gray=0)]
    )
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    torch.testing.assert_close((turned * weights).sum(dim=1), (color * weights).sum(dim=1), atol=1e-4, rtol=1e-4)
    assert (turned - color).abs().max() > 0.1


def test_contrast_of_gray_images_keeps_their_mean():
    images = torch.rand(50, 1, 6, 6) * 0.4 + 0.3
    changed = apply_transforms(images, [ColorJitter(brightness=0, contrast=0.5, probability=1)])
    torch.testing.assert_close(changed.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)))
    ratio = changed.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    assert 0.5 <= ratio.min() < 0.7
    assert 1.3 < ratio.max() <= 1.5


def test_erase_blackens_one_square(images):
    black = (apply_transforms(images + 0.1, [Erase(size=0.5)]) == 0).all(dim=1)
    assert black.flatten(1).sum(dim=1).tolist() == [16] * 64


def test_noise_has_the_standard_deviation_asked_for():
    result = apply_transforms(torch.full((10, 1, 64, 64), 0.5), [GaussianNoise(sd=0.1)])
    assert result.std().item() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (SaltAndPepper, {"amount": 1.5}),
        (Affine, {"translate": -0.1}),
        (Affine, {"shear": 90.0}),
        (Crop, {"area": 0.0}),
        (ColorJitter, {"hue": 2.0}),
    ],
)
def test_impossible_amounts_are_refused(kind, values):
    with pytest.raises(ValueError, match=next(iter(values))):
        kind(**values)
