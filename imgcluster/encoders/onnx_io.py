"""Inputs and outputs of an ONNX graph: reading the image input, choosing the output, and pooling it to vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from imgcluster.encoders.named_encoders import NamedEncoder
from imgcluster.errors import EncoderError, UsageError
from imgcluster.types import Pixels, Pooling

__all__ = [
    "InputSignature",
    "check_names",
    "choose_output",
    "describe_output",
    "pool",
    "read_input",
    "transformers_output",
    "usable_outputs",
]


_TYPES: Final[dict[str, type[np.uint8 | np.float32 | np.float16]]] = {
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}

# Outputs are told apart by the words in their names and, for class scores, by the number of classes of ImageNet.
_EMBEDDING_WORDS: Final = ("embed", "feat", "pooler", "pooled", "hidden", "latent", "token", "representation")
_CLASS_SCORE_WORDS: Final = ("logit", "score", "prob", "class", "softmax", "prediction")
_IMAGENET_CLASSES: Final = (1000, 1001, 21841, 21843)


@dataclass(frozen=True, slots=True)
class InputSignature:
    """The image input of a graph.

    Attributes:
        name: Name of the input.
        layout: Order of the axes: batch (N), channels (C), height (H), width (W).
        dtype: Type of the values.
        batch: Batch size; None if any size is accepted.
        channels: 1 (gray) or 3 (RGB).
        height: In pixels; None if any height is accepted.
        width: In pixels; None if any width is accepted.
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
        """Whether the input takes pixels as they are, because the graph normalizes them."""
        return self.dtype is np.uint8

    def arrange(
        self, images: Pixels, *, scale: float, mean: npt.NDArray[Any], std: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        """Convert ``uint8 (n, height, width, channels)`` images to the layout and type of this input.

        Floating-point inputs get ``(pixel · scale − mean) / std``; `mean` and `std` have one value or one per channel.
        """
        batch: npt.NDArray[Any] = images
        if not self.takes_bytes:
            batch = ((images.astype(np.float32) * np.float32(scale) - mean) / std).astype(self.dtype, copy=False)
        return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) if self.layout == "NCHW" else batch


def read_input(inputs: Sequence[Any], *, layout: Literal["NHWC", "NCHW"] | None = None) -> InputSignature:
    """Return the image input among the inputs of a session.

    Args:
        inputs: What ``InferenceSession.get_inputs()`` returns.
        layout: The order of the axes, if it is known; else it is derived from the shape.

    Raises:
        EncoderError: The graph does not take exactly one batch of images.
    """
    if len(inputs) != 1:
        names = ", ".join(f"{entry.name}{_shape_text(entry.shape)}" for entry in inputs)
        raise EncoderError(
            f"the model has {len(inputs)} inputs ({names}); needed is one, a batch of images: export its image part"
        )
    entry = inputs[0]
    required = "needed is (n, height, width, channels) or (n, channels, height, width) with 1 or 3 channels"
    shape = list(entry.shape)
    described = f"the model's input {entry.name!r} has shape {_shape_text(shape)} and type {entry.type}"
    if entry.type not in _TYPES:
        raise EncoderError(f"{described}; needed is uint8, float32 or float16")
    if len(shape) != 4:
        raise EncoderError(f"{described}; {required}")
    layout = layout or _layout(shape)
    if layout is None:
        raise EncoderError(f"{described}; {required}")
    channel_axis = 3 if layout == "NHWC" else 1
    height, width = (shape[1], shape[2]) if layout == "NHWC" else (shape[2], shape[3])
    return InputSignature(
        name=entry.name,
        layout=layout,
        dtype=_TYPES[entry.type],
        batch=_fixed(shape[0]),
        # Models for gray images fix their number of channels; those that leave it open are for color images.
        channels=_fixed(shape[channel_axis]) or 3,
        height=_fixed(height),
        width=_fixed(width),
    )


def usable_outputs(outputs: Sequence[Any]) -> list[Any]:
    """Return the outputs of a session that can become vectors: those of 2, 3 or 4 axes, or of unknown shape."""
    return [entry for entry in outputs if not entry.shape or len(entry.shape) in (2, 3, 4)]


def describe_output(output: Any) -> str:
    """Return the name and shape of an output as text, such as ``logits (n, 1000)``."""
    return f"{output.name} {_shape_text(output.shape)}" if output.shape else str(output.name)


def choose_output(outputs: Sequence[Any], pooling: Pooling | None, requested: str | None = None) -> str:
    """Return the name of the output to make vectors from.

    Embeddings are preferred to class scores, which are recognized by their name or by the number of classes of
    ImageNet. Among the others, vectors are preferred to feature maps and those to tokens, but with a `pooling` tokens
    come first; then outputs that are named as embeddings; then the order of the graph.

    Args:
        outputs: What ``InferenceSession.get_outputs()`` returns.
        pooling: How tokens are pooled, if that was given.
        requested: Name of the output to use.

    Raises:
        UsageError: There is no output of the requested name, or it cannot become vectors.
        EncoderError: No output can become vectors.
    """
    usable = usable_outputs(outputs)
    described = ", ".join(map(describe_output, outputs)) or "none"
    if requested:
        if requested not in [entry.name for entry in usable]:
            raise UsageError(
                f"--output {requested} is not an output of the model that can become vectors; its outputs: {described}"
            )
        return requested
    if not usable:
        raise EncoderError(f"no output of the model has vectors, maps or tokens; its outputs: {described}")
    ranks = (3, 2, 4) if pooling else (2, 4, 3)

    def preference(output: Any) -> tuple[bool, bool, int, bool]:
        rank = len(output.shape or ())
        # Tokens without a pooling cannot be used; any other output is better.
        return (
            rank == 3 and not pooling,
            _is_class_scores(output),
            ranks.index(rank) if rank else len(ranks),
            not _has_word(output.name, _EMBEDDING_WORDS),
        )

    return str(min(usable, key=preference).name)


def transformers_output(outputs: Sequence[Any], pooling: Pooling | None) -> str | None:
    """Return the output of a model of transformers that is the embedding, by its usual name; None if it has none."""
    names = ["last_hidden_state"] if pooling else ["image_embeds", "pooler_output", "last_hidden_state"]
    present = {entry.name for entry in usable_outputs(outputs)}
    return next((name for name in names if name in present), None)


def check_names(row: NamedEncoder, signature: InputSignature, outputs: Sequence[Any]) -> None:
    """Check that a graph has the input and the output of the row of a named encoder.

    Raises:
        EncoderError: It does not; both are shown.
    """
    names = [entry.name for entry in outputs]
    expected = (row.input, "NCHW", 3)
    if (
        (signature.name, signature.layout, signature.channels) != expected
        or signature.takes_bytes
        or row.options.output not in names
    ):
        kind = np.dtype(signature.dtype).name
        raise EncoderError(
            f"encoder {row.name} has the input {row.input} (float32, NCHW, 3 channels) and the output "
            f"{row.options.output}; its graph has the input {signature.name} ({kind}, {signature.layout}, "
            f"{signature.channels} channels) and the outputs {', '.join(names)}"
        )


def pool(output: npt.NDArray[Any], layout: str, pooling: Pooling | None) -> npt.NDArray[np.float32]:
    """Convert an output to vectors, ``float32 (n, embedding_size)``.

    Args:
        output: Vectors ``(n, d)``; feature maps in `layout`, which are averaged over space; or tokens ``(n, t, d)``.
        layout: ``NHWC`` or ``NCHW``, as that of the input.
        pooling: ``cls`` takes the first token, ``mean`` the mean of all.

    Raises:
        EncoderError: Tokens without a pooling, an output of another number of axes, or one without values.
    """
    values = np.asarray(output, dtype=np.float32)
    if values.ndim == 4:
        values = np.asarray(values.mean(axis=(1, 2) if layout == "NHWC" else (2, 3)), dtype=np.float32)
    elif values.ndim == 3:
        if pooling is None:
            raise EncoderError(
                f"the model returns tokens of shape {values.shape}; choose how to pool them: --pool cls or --pool mean"
            )
        values = np.asarray(values[:, 0] if pooling == "cls" else values.mean(axis=1), dtype=np.float32)
    if values.ndim != 2 or not values.shape[1]:
        raise EncoderError(
            f"the model's output has shape {output.shape}; vectors, maps or tokens with values are needed"
        )
    return values


def _is_class_scores(output: Any) -> bool:
    """Return whether an output seems to hold class scores instead of an embedding."""
    if _has_word(output.name, _EMBEDDING_WORDS):
        return False
    shape: Sequence[Any] = output.shape or ()
    return _has_word(output.name, _CLASS_SCORE_WORDS) or (len(shape) == 2 and shape[1] in _IMAGENET_CLASSES)


def _has_word(name: str, prefixes: tuple[str, ...]) -> bool:
    # "pooler_output", "imageEmbeds" and "LOGITS" are split into words.
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return any(word.lower().startswith(prefixes) for word in words)


def _layout(shape: Sequence[Any]) -> Literal["NHWC", "NCHW"] | None:
    first, last = shape[1], shape[3]
    if _fixed(first) in (1, 3) and _fixed(last) not in (1, 3):
        return "NCHW"
    if _fixed(last) in (1, 3) and _fixed(first) not in (1, 3):
        return "NHWC"
    if _fixed(first) is not None and _fixed(last) is not None and _fixed(first) not in (1, 3):
        return None
    # Only names are left; PyTorch's order is by far the most common.
    return "NHWC" if isinstance(last, str) and "chan" in last.lower() else "NCHW"


def _fixed(size: Any) -> int | None:
    return size if isinstance(size, int) and size > 0 else None


def _shape_text(shape: Sequence[Any] | None) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in shape or ()) + ")"
