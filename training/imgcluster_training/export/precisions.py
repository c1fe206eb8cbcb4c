"""Makes files of lower precisions from an exported encoder: weights in float16, or weights and activations in int8.

Each file carries the vectors that it gives for `reference_images` on this machine: where another machine gives others,
it is not used. On one machine the same packages and pictures give the same files, byte for byte.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from imgcluster.encoders.precision import REFERENCE_KEY, reference_images, write_reference
from imgcluster.errors import UsageError
from imgcluster.fileio.atomic import atomic_path
from imgcluster.images.decode import decode
from imgcluster.images.types import InputSpec
from imgcluster.types import Pixels
from imgcluster_training.export.to_onnx import run_onnx

__all__ = ["calibration_images", "write_fp16", "write_int8"]

_COUNT: Final = 200
_BATCH: Final = 10
_SUFFIXES: Final = (".jpg", ".jpeg", ".png")
# Averages, roots and lengths stay in float. Clip is part of the convolution before it.
_QUANTIZED: Final = ["Conv", "Clip", "Add", "Gemm"]


def calibration_images(folder: Path, spec: InputSpec, count: int = _COUNT) -> Pixels:
    """Return pictures from all parts of a folder, ``uint8 (count, height, width, channels)``.

    Raises:
        UsageError: The folder has fewer.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if len(files) < count:
        raise UsageError(f"{folder} has {len(files)} photographs; {count} are needed to calibrate int8")
    chosen = (files[number * len(files) // count] for number in range(count))
    return np.stack([decode(path.read_bytes(), spec).pixels for path in chosen])


def write_fp16(source: Path, target: Path) -> None:
    """Write the encoder `source` with weights in float16 to `target`; it computes in float32."""
    model = onnx.load(source)
    for tensor in [entry for entry in model.graph.initializer if entry.data_type == TensorProto.FLOAT]:
        values = numpy_helper.to_array(tensor)
        if values.size == 1:  # constants, such as the smallest length
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + "_fp16"))
        # ONNX Runtime does this once, when it loads the file.
        model.graph.node.insert(0, helper.make_node("Cast", [name + "_fp16"], [name], to=TensorProto.FLOAT))
    _save(model, target)


def write_int8(
    source: Path, target: Path, images: Pixels, *, weight_bits: int = 8, float_convolutions: int = 0
) -> None:
    """Write the encoder `source` in int8 to `target`: static quantization, calibrated with `images`.

    Args:
        source: The encoder in full precision.
        target: The file to write.
        images: Pictures ``uint8 (n, height, width, channels)``.
        weight_bits: 8, or 7 for processors on which sums of two products of 8-bit weights saturate.
        float_convolutions: How many of the first convolutions stay in float.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    graph = onnx.load(source).graph
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "int8.onnx"
        quantize_static(
            source,
            quantized,
            _Batches(images, graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTIZED,
            per_channel=True,
            reduce_range=weight_bits < 8,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_first_nodes(graph, float_convolutions),
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                # Ranges are averaged over batches, so that single pictures do not widen them.
                "CalibMovingAverage": True,
                "OpTypesToExcludeOutputQuantization": ["Gemm"],
            },
        )
        model = onnx.load(quantized)
    _save(model, target)


def _first_nodes(graph: onnx.GraphProto, convolutions: int) -> list[str]:
    """Return the names of the nodes up to the convolution after the first `convolutions`."""
    starts = [index for index, node in enumerate(graph.node) if node.op_type == "Conv"]
    return [node.name for node in graph.node[: starts[convolutions]]] if convolutions else []


class _Batches:
    """What `quantize_static` reads batches from."""

    def __init__(self, images: Pixels, name: str) -> None:
        self._batches = iter({name: images[start : start + _BATCH]} for start in range(0, len(images), _BATCH))

    def get_next(self) -> dict[str, Pixels] | None:
        return next(self._batches, None)


def _save(model: Any, target: Path) -> None:
    """Write a model with the metadata of its encoder and its reference vectors, after ONNX's check."""
    metadata = {entry.key: entry.value for entry in model.metadata_props if entry.key != "onnx.infer"}
    size = int(metadata["imgcluster.height"]), int(metadata["imgcluster.width"]), int(metadata["imgcluster.channels"])
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / target.name
        onnx.save(model, temporary)
        vectors = run_onnx(temporary, reference_images(size[1], size[0], size[2]))
        helper.set_model_props(model, metadata | {REFERENCE_KEY: write_reference(vectors)})
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, temporary)
        with atomic_path(target) as copy:
            shutil.copyfile(temporary, copy)
