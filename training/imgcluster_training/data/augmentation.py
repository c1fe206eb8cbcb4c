"""Transforms of batches of images, which `recipe.transforms` describes.

Every function takes ``float32 (n, channels, height, width)`` in [0, 1] and returns the same (a crop with other
sides). Random numbers come from torch's global generator, which is seeded for every batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor

from imgcluster_training.recipe.transforms import (
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

__all__ = ["apply_transforms"]

# NTSC's color space, in which a change of hue is a rotation about the axis of brightness.
_TO_YIQ: Final = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))
_CROP_RATIO: Final = 4 / 3


def apply_transforms(images: Tensor, transforms: Sequence[Transform]) -> Tensor:
    """Return `images` after every transform in turn; `images` itself is not changed."""
    for transform in transforms:
        images = _FUNCTIONS[type(transform)](images, transform)
    return images


def _flip(images: Tensor, transform: Flip) -> Tensor:
    images = torch.where(_coins(images), images.flip(3), images)
    return torch.where(_coins(images), images.flip(2), images) if transform.vertical else images


def _quarter_turns(images: Tensor, transform: QuarterTurns) -> Tensor:
    turns = torch.randint(4, (len(images),), device=images.device)
    result = images.clone()
    for turn in (1, 2, 3):
        result[turns == turn] = images[turns == turn].rot90(turn, (2, 3))
    return result


def _affine(images: Tensor, transform: Affine) -> Tensor:
    count, device = len(images), images.device

    def uniform(largest: float) -> Tensor:
        return (2 * torch.rand(count, device=device) - 1) * largest

    angle, shear = uniform(math.radians(transform.degrees)), torch.tan(uniform(math.radians(transform.shear)))
    size = 1 + uniform(transform.scale)
    # Maps positions in the result to positions in the image, whose coordinates run from −1 to 1.
    cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
    rows = torch.stack(
        [
            torch.stack([cosine, cosine * shear - sine, 2 * uniform(transform.translate)], dim=1),
            torch.stack([sine, sine * shear + cosine, 2 * uniform(transform.translate)], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(rows, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _crop(images: Tensor, transform: Crop) -> Tensor:
    count, channels, height, width = images.shape
    device = images.device
    area = transform.area + (1 - transform.area) * torch.rand(count, device=device)
    ratio = _CROP_RATIO ** (2 * torch.rand(count, device=device) - 1)
    wide, tall = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    # Coordinates run from −1 to 1: a part of size s has its center within ±(1 − s).
    across, down = ((2 * torch.rand(count, device=device) - 1) * (1 - size) for size in (wide, tall))
    zero = torch.zeros_like(wide)
    rows = torch.stack([torch.stack([wide, zero, across], dim=1), torch.stack([zero, tall, down], dim=1)], dim=1)
    sides = [max(1, round(transform.side * height)), max(1, round(transform.side * width))]
    grid = F.affine_grid(rows, [count, channels, *sides], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _color_jitter(images: Tensor, transform: ColorJitter) -> Tensor:
    count, channels = images.shape[:2]
    device = images.device
    changed = (torch.rand(count, device=device) < transform.probability).to(images.dtype)

    def factor(largest: float) -> Tensor:
        return 1 + changed * (2 * torch.rand(count, device=device) - 1) * largest

    brightness, contrast, saturation = map(factor, (transform.brightness, transform.contrast, transform.saturation))
    turn = 2 * math.pi * (factor(transform.hue) - 1)
    saturation = torch.where(torch.rand(count, device=device) < transform.gray, 0.0, saturation)
    to_yiq = torch.tensor(_TO_YIQ, device=device)
    if channels == 1:
        colors, luma = torch.ones(count, 1, 1, device=device), torch.ones(1, device=device)
    else:
        one, zero = torch.ones_like(turn), torch.zeros_like(turn)
        cosine, sine = saturation * turn.cos(), saturation * turn.sin()
        turned = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=1).view(-1, 3, 3)
        colors, luma = torch.linalg.inv(to_yiq) @ turned @ to_yiq, to_yiq[0]
    # All four together are one matrix and one gray level per image.
    matrix = colors * (brightness * contrast)[:, None, None]
    level = (1 - contrast) * brightness * (images.mean(dim=(2, 3)) @ luma)
    flat = images.reshape(count, channels, -1)
    return torch.baddbmm(level[:, None, None].expand(-1, channels, 1), matrix, flat).clamp(0, 1).view(images.shape)


def _salt_and_pepper(images: Tensor, transform: SaltAndPepper) -> Tensor:
    chance = torch.rand_like(images[:, :1])
    images = torch.where(chance < transform.amount / 2, torch.zeros_like(images), images)
    return torch.where(chance > 1 - transform.amount / 2, torch.ones_like(images), images)


def _gaussian_noise(images: Tensor, transform: GaussianNoise) -> Tensor:
    return (images + transform.sd * torch.randn_like(images)).clamp(0, 1)


def _erase(images: Tensor, transform: Erase) -> Tensor:
    count, _, height, width = images.shape
    tall, wide = round(transform.size * height), round(transform.size * width)
    top = torch.randint(height - tall + 1, (count, 1), device=images.device)
    left = torch.randint(width - wide + 1, (count, 1), device=images.device)
    row, column = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    inside = ((row >= top) & (row < top + tall))[:, None, :, None] & ((column >= left) & (column < left + wide))[
        :, None, None, :
    ]
    return images.masked_fill(inside, 0.0)


def _coins(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5


_FUNCTIONS: Final[dict[type[Any], Callable[[Tensor, Any], Tensor]]] = {
    Flip: _flip,
    QuarterTurns: _quarter_turns,
    Affine: _affine,
    Crop: _crop,
    ColorJitter: _color_jitter,
    SaltAndPepper: _salt_and_pepper,
    GaussianNoise: _gaussian_noise,
    Erase: _erase,
}
