"""What an ONNX graph takes and gives: layout, type and size of its input, and how its output becomes vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from imgcluster.errors import EncoderError
from imgcluster.types import Pixels, Pooling

__all__ = ["InputSignature", "choose_output", "pool", "read_input"]


_TYPES: Final[dict[str, type[np.uint8 | np.float32 | np.float16]]] = {
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


@dataclass(frozen=True, slots=True)
class InputSignature:
    """The image input of a graph.

    `batch`, `height` and `width` are None where the graph leaves them open. `layout` is ``NHWC`` or ``NCHW``.
    """

    name: str
    layout: Literal["NHWC", "NCHW"]
    dtype: type[np.uint8 | np.float32 | np.float16]
    batch: int | None
    channels: int
    height: int | None
    width: int | None

    @property
    def takes_bytes(self) -> bool:
        """Whether pixels go in as they are, the graph normalising them itself."""
        return self.dtype is np.uint8

    def arrange(
        self, images: Pixels, *, scale: float, mean: npt.NDArray[Any], std: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        """Return ``uint8 (n, height, width, channels)`` images as this input takes them.

        Floating-point inputs get ``(pixel · scale − mean) / std``, `mean` and `std` one value or one per channel.
        """
        batch: npt.NDArray[Any] = images
        if not self.takes_bytes:
            batch = ((images.astype(np.float32) * np.float32(scale) - mean) / std).astype(self.dtype, copy=False)
        return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) if self.layout == "NCHW" else batch


def read_input(inputs: Sequence[Any], *, layout: Literal["NHWC", "NCHW"] | None = None) -> InputSignature:
    """Read the image input from what a session says of its inputs; `layout` where it is known.

    Raises:
        EncoderError: The graph takes something else than one batch of images.
    """
    if len(inputs) != 1:
        names = ", ".join(f"{entry.name}{_shape_text(entry.shape)}" for entry in inputs)
        raise EncoderError(
            f"the model takes {len(inputs)} inputs ({names}); needed is one, a batch of images: export its image part"
        )
    entry = inputs[0]
    wanted = "needed is (n, height, width, channels) or (n, channels, height, width) with 1 or 3 channels"
    shape = list(entry.shape)
    described = f"the model's input {entry.name!r} has shape {_shape_text(shape)} and type {entry.type}"
    if entry.type not in _TYPES:
        raise EncoderError(f"{described}; needed is uint8, float32 or float16")
    if len(shape) != 4:
        raise EncoderError(f"{described}; {wanted}")
    layout = layout or _layout(shape)
    if layout is None:
        raise EncoderError(f"{described}; {wanted}")
    channel_axis = 3 if layout == "NHWC" else 1
    height, width = (shape[1], shape[2]) if layout == "NHWC" else (shape[2], shape[3])
    return InputSignature(
        name=entry.name,
        layout=layout,
        dtype=_TYPES[entry.type],
        batch=_fixed(shape[0]),
        # A model that leaves even the channels open is a colour model: grey ones say so.
        channels=_fixed(shape[channel_axis]) or 3,
        height=_fixed(height),
        width=_fixed(width),
    )


def choose_output(outputs: Sequence[Any], pooling: Pooling | None) -> str:
    """Return the name of the output to use: vectors before maps before tokens; tokens first where pooling is told.

    Raises:
        EncoderError: No output has 2, 3 or 4 axes.
    """
    order = (3, 2, 4) if pooling else (2, 4, 3)
    for rank in order:
        for entry in outputs:
            if entry.shape is not None and len(entry.shape) == rank:
                return str(entry.name)
    # Some exporters leave shapes out altogether: then the first output's real shape decides.
    if outputs and not outputs[0].shape:
        return str(outputs[0].name)
    names = ", ".join(f"{entry.name}{_shape_text(entry.shape)}" for entry in outputs)
    raise EncoderError(f"none of the model's outputs ({names}) is a batch of vectors, maps or tokens")


def pool(output: npt.NDArray[Any], layout: str, pooling: Pooling | None) -> npt.NDArray[np.float32]:
    """Turn a graph's output into ``float32 (n, embedding_size)``.

    Rank 2 stays, rank 4 is averaged over space (its axes lie as the input's), tokens of rank 3 are pooled as told.

    Raises:
        EncoderError: Tokens without a pooling, or an output of another rank.
    """
    values = np.asarray(output, dtype=np.float32)
    if values.ndim == 2:
        return values
    if values.ndim == 4:
        return np.asarray(values.mean(axis=(1, 2) if layout == "NHWC" else (2, 3)), dtype=np.float32)
    if values.ndim == 3:
        if pooling is None:
            raise EncoderError(
                f"the model gives tokens, shape {values.shape}; say how to pool them: --pool cls or --pool mean"
            )
        return np.asarray(values[:, 0] if pooling == "cls" else values.mean(axis=1), dtype=np.float32)
    raise EncoderError(f"the model's output has shape {values.shape}; needed are vectors, maps or tokens per image")


def _layout(shape: Sequence[Any]) -> Literal["NHWC", "NCHW"] | None:
    first, last = shape[1], shape[3]
    if _fixed(first) in (1, 3) and _fixed(last) not in (1, 3):
        return "NCHW"
    if _fixed(last) in (1, 3) and _fixed(first) not in (1, 3):
        return "NHWC"
    if _fixed(first) is not None and _fixed(last) is not None and _fixed(first) not in (1, 3):
        return None
    # Nothing but names to go by; PyTorch's order is by far the most common.
    return "NHWC" if isinstance(last, str) and "chan" in last.lower() else "NCHW"


def _fixed(size: Any) -> int | None:
    return size if isinstance(size, int) and size > 0 else None


def _shape_text(shape: Sequence[Any] | None) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in shape or ()) + ")"
