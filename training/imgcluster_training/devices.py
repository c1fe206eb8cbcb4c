"""The device of a training, and its numeric precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from imgcluster.errors import DeviceError, UsageError

__all__ = ["choose_device", "computes_bfloat16", "mixed_precision"]


def choose_device(name: str) -> torch.device:
    """Return the device `name`: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        UsageError: The name is unknown.
        DeviceError: The device is not available.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, runs in available.items() if runs))
    if name not in available:
        raise UsageError(f"device {name!r} is unknown; choose one of auto, {', '.join(available)}")
    if not available[name]:
        raise DeviceError(f"PyTorch finds no {name} device; use --device cpu, or install a build of torch for {name}")
    return torch.device(name)


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return the context for calling a model that is trained: bfloat16 where the device computes in it, else float32.

    The loss belongs outside of it, and the model's outputs must be converted to float32 before.
    """
    # bfloat16 has the range of float32, so that no loss scaling is needed.
    if computes_bfloat16(device):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether `device` computes in bfloat16, instead of imitating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    instructions = torch.cpu.get_capabilities()
    return any(instructions.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
