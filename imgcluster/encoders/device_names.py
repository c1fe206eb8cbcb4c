"""What can be given as ``--device``: the name of a device, and its number where a machine has several."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from imgcluster.errors import UsageError

__all__ = ["DEVICES", "Device", "split_devices"]

DEVICES: Final = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""The values of ``--device`` with ONNX Runtime's provider for each."""

# Those whose provider has the option device_id.
_NUMBERED: Final = ("cuda", "tensorrt", "rocm", "migraphx", "directml")


@dataclass(frozen=True, slots=True)
class Device:
    """A device.

    Attributes:
        name: A key of `DEVICES`.
        index: Its number, if one was given.
    """

    name: str
    index: int | None = None

    @classmethod
    def parse(cls, text: str) -> Device:
        """Read a device such as ``cpu``, ``cuda`` or ``cuda:1``.

        Raises:
            UsageError: There is no such device.
        """
        name, colon, index = text.partition(":")
        if name not in DEVICES:
            raise UsageError(f"device {text!r} is unknown; choose one of auto, {', '.join(DEVICES)}")
        if not colon:
            return cls(name)
        if name not in _NUMBERED:
            raise UsageError(f"device {text!r} is unknown; only {', '.join(_NUMBERED)} have numbers")
        if not re.fullmatch(r"[0-9]{1,4}", index):
            raise UsageError(f"device {text!r} is unknown; give numbers, such as {name}:0 or {name}:0,1")
        return cls(name, int(index))

    def __str__(self) -> str:
        return self.name if self.index is None else f"{self.name}:{self.index}"


def split_devices(text: str) -> list[str]:
    """Return the single devices of a text such as ``cuda:0,1``; ``auto`` is one.

    Raises:
        UsageError: There is no such device, or a number is given twice.
    """
    if text == "auto":
        return [text]
    name, colon, numbers = text.partition(":")
    devices = [str(Device.parse(name + colon + number)) for number in numbers.split(",")]
    if len(set(devices)) < len(devices):
        raise UsageError(f"device {text!r} names a number twice")
    return devices
