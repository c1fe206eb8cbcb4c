"""Convolutions to small maps, in bfloat16 on a CPU.

There torch's gradient of the weights takes longer than a matrix product of the same size (benchmarks/small_maps.py).
"""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor
from torch.nn.grad import conv2d_input

__all__ = ["conv_to_small_map", "is_faster"]

_MOST_POSITIONS: Final = 16


def is_faster(images: Tensor, kernel: int, stride: int, padding: int) -> bool:
    """Return whether `conv_to_small_map` takes less time than torch's convolution.

    It does where a model trains in bfloat16 on a CPU and a kernel of more than one pixel makes a map of at most 4×4.
    """
    if images.device.type != "cpu" or not torch.is_grad_enabled() or not torch.is_autocast_enabled("cpu"):
        return False
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side in images.shape[2:])
    return kernel > 1 and height * width <= _MOST_POSITIONS


def conv_to_small_map(images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Return the convolution of images ``(n, channels, height, width)``, without a bias, in bfloat16."""
    inputs = (images.to(torch.bfloat16), weight.to(torch.bfloat16), stride, padding)
    maps: Tensor = _ConvToSmallMap.apply(*inputs)  # type: ignore[no-untyped-call]
    return maps


class _ConvToSmallMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight, None, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        images, weight = ctx.saved_tensors
        filters, channels, height, width = weight.shape
        image_gradient = None
        if ctx.needs_input_grad[0]:
            sizes = (ctx.stride, ctx.padding)
            image_gradient = conv2d_input(images.shape, weight, gradient, *sizes)  # type: ignore[no-untyped-call]
        padded = F.pad(images, (ctx.padding,) * 4).permute(0, 2, 3, 1)
        windows = padded.unfold(1, height, ctx.stride).unfold(2, width, ctx.stride)
        rows = windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, height * width * channels)
        product = gradient.permute(0, 2, 3, 1).reshape(-1, filters).T @ rows
        return image_gradient, product.view(filters, height, width, channels).permute(0, 3, 1, 2), None, None
