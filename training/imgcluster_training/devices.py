"""Where a training computes, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from imgcluster.errors import DeviceError, UsageError

__all__ = ["choose_device", "mixed_precision"]


def choose_device(name: str) -> torch.device:
    """Return the device called `name`: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        UsageError: No device is called so.
        DeviceError: It does not run here.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, runs in available.items() if runs))
    if name not in available:
        raise UsageError(f"device {name!r} is unknown; choose one of auto, {', '.join(available)}")
    if not available[name]:
        raise DeviceError(f"PyTorch finds no {name} device here; use --device cpu, or install a build of torch for it")
    return torch.device(name)


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which a model is called on `device`: bfloat16 where a GPU has it, else float32."""
    # bfloat16 has the range of float32: no loss scaling is needed. GPUs without it compute in float32.
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()
