"""What a graph, its metadata and the options say of an encoder's input, and what follows from defaults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.onnx_io import InputSignature, describe_output, usable_outputs
from imgcluster.errors import EncoderError, UsageError
from imgcluster.options import EncoderOptions

__all__ = ["default_notes", "image_size", "normalization", "resizing"]

_DEFAULT_SCALE: Final = 1.0 / 255.0


def normalization(
    signature: InputSignature, options: EncoderOptions
) -> tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return scale, mean and standard deviation.

    Raises:
        UsageError: The encoder normalizes pixels itself, or needs another number of values.
    """
    if signature.takes_bytes and any(value is not None for value in (options.mean, options.std, options.scale)):
        raise UsageError("this encoder takes bytes and normalizes them itself; leave out --mean, --std and --scale")
    for name, values in (("--mean", options.mean), ("--std", options.std)):
        if values is not None and len(values) not in (1, signature.channels):
            raise UsageError(
                f"{name} has {len(values)} values; this encoder needs 1 or {signature.channels} (one per channel)"
            )
    return (
        _DEFAULT_SCALE if options.scale is None else options.scale,
        np.asarray(options.mean or (0.0,), dtype=np.float32),
        np.asarray(options.std or (1.0,), dtype=np.float32),
    )


def default_notes(
    signature: InputSignature, outputs: Sequence[Any], chosen: str, options: EncoderOptions
) -> Iterator[str]:
    """Yield what the user should know of defaults used for a model without imgcluster's metadata."""
    usable = usable_outputs(outputs)
    if len(usable) > 1 and options.output is None:
        yield (
            f"The model has {len(usable)} outputs ({', '.join(map(describe_output, usable))}); embeddings are taken "
            f"from {chosen}. Use --output NAME for another."
        )
    if not signature.takes_bytes and options.mean is None and options.std is None:
        largest = 255 * (_DEFAULT_SCALE if options.scale is None else options.scale)
        yield (
            f"The model takes floating-point pixels, and without --mean and --std they range from 0 to {largest:.4g}. "
            "If it was trained on normalized pixels, give both; most models trained on ImageNet need --mean "
            "0.485,0.456,0.406 --std 0.229,0.224,0.225."
        )


def resizing(options: EncoderOptions) -> dict[str, Any]:
    """Return the fields of `EncoderInfo` that options on resizing replace."""
    changes: dict[str, Any] = {}
    if options.resize or options.resize_edge:
        changes |= {"crop_fraction": 1.0, "resize_edge": options.resize_edge or 0}
    if options.resize:
        changes["resize"] = options.resize
    if options.resample:
        changes["filter"] = options.resample
    return changes


def image_size(
    signature: InputSignature, stored: EncoderInfo | None, options: EncoderOptions, named: str
) -> tuple[int, int]:
    """Return the width and height of the input: from the graph, else the options, else the metadata.

    Raises:
        EncoderError: The graph accepts any size and none is given.
        UsageError: The requested size is not that of the graph.
    """
    requested = options.image_size or ((stored.width, stored.height) if stored else (None, None))
    for name, fixed, value in (("width", signature.width, requested[0]), ("height", signature.height, requested[1])):
        if fixed is None and value is None:
            raise EncoderError(
                f"the model's input {signature.name!r} accepts any {name}; give the size it was trained at, "
                "for example --image-size 224"
            )
        if fixed is not None and options.image_size and fixed != value and named:
            raise EncoderError(f"encoder {named} has an input with a {name} of {value}; its graph has {fixed}")
        if fixed is not None and options.image_size and fixed != value:
            raise UsageError(f"--image-size has a {name} of {value}, but the model's input is fixed to {fixed}")
    width, height = signature.width or requested[0], signature.height or requested[1]
    assert width is not None
    assert height is not None
    return width, height
