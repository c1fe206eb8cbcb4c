"""Lanes: the runs that devices make at the same time, on a CPU one per core, on an NVIDIA GPU two per device.

While one lane of a GPU computes, the other one copies its batch into pinned memory and uploads it. ONNX Runtime uploads
a bound input when it is bound, and a plain one within the run, so an input is bound once, as memory of the device, and
its content is replaced (``OrtValue.update_inplace``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.encoders.cuda import pinned_array
from imgcluster.encoders.device_names import Device
from imgcluster.errors import DeviceError
from imgcluster.machine import processors
from imgcluster.types import Vectors

__all__ = ["LANES_PER_DEVICE", "MEMORY_NAMES", "BoundRun", "Lane", "Run", "open_lanes"]

_LOG = logging.getLogger(__name__)

LANES_PER_DEVICE: Final = 2

MEMORY_NAMES: Final = {"cuda": "cuda", "tensorrt": "cuda"}
"""ONNX Runtime's name of the memory of those devices whose inputs are bound."""

# Half precision, and another algorithm of a convolution, stay below this; a wrong buffer does not.
_TOLERANCE: Final = 1e-2

Run = Callable[[list[str], dict[str, npt.NDArray[Any]]], list[Any]]
"""Computes outputs of a graph from its input."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What computes one batch at a time.

    Attributes:
        device: The name of the device, with its number if it has one.
        run: Runs the graph.
    """

    device: str
    run: Run


class BoundRun:
    """Runs a graph with one input through memory that is allocated once per shape.

    Args:
        session: An ``onnxruntime.InferenceSession``.
        memory: ONNX Runtime's name of the device's memory.
        index: The number of the device.
        options: The ``onnxruntime.RunOptions``.
    """

    def __init__(self, session: Any, memory: str, index: int, options: Any) -> None:
        self._session = session
        self._memory, self._index = memory, index
        self._options = options
        self._binding = session.io_binding()
        self._pinned: npt.NDArray[Any] = np.empty(0)
        self._value: Any = None

    def __call__(self, outputs: list[str], inputs: dict[str, npt.NDArray[Any]]) -> list[Any]:
        ((name, batch),) = inputs.items()
        if self._value is None or (self._pinned.shape, self._pinned.dtype) != (batch.shape, batch.dtype):
            self._allocate(name, batch)
        np.copyto(self._pinned, batch)
        self._value.update_inplace(self._pinned)
        # What the last run returned would be written again.
        self._binding.clear_binding_outputs()
        for output in outputs:
            self._binding.bind_output(output, "cpu")
        self._session.run_with_iobinding(self._binding, self._options)
        results: list[Any] = self._binding.copy_outputs_to_cpu()
        return results

    def _allocate(self, name: str, batch: npt.NDArray[Any]) -> None:
        from onnxruntime import OrtValue

        # The memory of the device is freed before more of it is requested.
        self._binding.clear_binding_inputs()
        self._value = None
        self._pinned = pinned_array(batch.shape, batch.dtype, self._index)
        value = OrtValue.ortvalue_from_shape_and_type(batch.shape, batch.dtype.type, self._memory, self._index)
        self._binding.bind_ortvalue_input(name, value)
        self._value = value


def open_lanes(sessions: Mapping[str, Any], options: Any, encode: Callable[[Run], Vectors]) -> list[Lane]:
    """Return the lanes of devices; devices take turns, so that the first batches go to different ones.

    Args:
        sessions: The ``onnxruntime.InferenceSession`` of each device.
        options: The ``onnxruntime.RunOptions``.
        encode: Returns the vectors of a few images.

    Raises:
        DeviceError: The vectors of a device differ from those of the first one.
    """
    if list(sessions) == ["cpu"]:
        return [Lane("cpu", _plain(sessions["cpu"], options))] * processors()
    expected = None
    lanes: list[Sequence[Lane]] = []
    for name, session in sessions.items():
        vectors = encode(_plain(session, options))
        expected = vectors if expected is None else expected
        if not _agree(vectors, expected):
            raise DeviceError(f"the vectors of {name} differ from those of {next(iter(sessions))}; leave {name} out")
        lanes.append(_lanes_of(name, session, options, encode, expected))
    return [lane for turn in zip(*lanes, strict=True) for lane in turn]


def _lanes_of(
    name: str, session: Any, options: Any, encode: Callable[[Run], Vectors], expected: Vectors
) -> Sequence[Lane]:
    device = Device.parse(name)
    if device.name not in MEMORY_NAMES:
        # Not known to gain from two runs at the same time.
        return [Lane(name, _plain(session, options))]
    try:
        runs = [
            BoundRun(session, MEMORY_NAMES[device.name], device.index or 0, options) for _ in range(LANES_PER_DEVICE)
        ]
        if all(_agree(encode(run), expected) for run in runs):
            return [Lane(name, run) for run in runs]
        reason = "the vectors differ"
    except Exception as error:
        reason = str(error)
    _LOG.debug("inputs are not bound on %s: %s", name, reason)
    return [Lane(name, _plain(session, options))] * LANES_PER_DEVICE


def _plain(session: Any, options: Any) -> Run:
    return lambda outputs, inputs: session.run(outputs, inputs, options)


def _agree(vectors: Vectors, expected: Vectors) -> bool:
    return vectors.shape == expected.shape and np.allclose(
        vectors, expected, atol=_TOLERANCE * max(float(np.abs(expected).max(initial=0.0)), 1e-12)
    )
