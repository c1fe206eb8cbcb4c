"""Carrying out transforms on a batch: `transforms` says what each means, here is how.

Every function takes ``float32 (n, channels, height, width)`` in [0, 1] and returns the same; chance comes
from torch's global generator, which `batches` seeds anew for every batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name the field knows
from torch import Tensor

from training.transforms import (
    Affine,
    Erase,
    Flip,
    GaussianNoise,
    QuarterTurns,
    SaltAndPepper,
    Transform,
)

__all__ = ["apply_transforms"]


def apply_transforms(images: Tensor, transforms: Sequence[Transform]) -> Tensor:
    """Return `images` changed by every transform in turn; `images` itself stays as it is."""
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
    # From places in the result to places in the image, whose coordinates run from −1 to 1.
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
    SaltAndPepper: _salt_and_pepper,
    GaussianNoise: _gaussian_noise,
    Erase: _erase,
}
