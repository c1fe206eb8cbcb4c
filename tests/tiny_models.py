"""ONNX models of a few nodes that stand in for real encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from imgcluster.encoders.metadata import EncoderInfo

TINY = EncoderInfo(
    name="tiny",
    version="1",
    embedding_size=48,
    metric="cosine",
    width=4,
    height=4,
    channels=3,
    resize="stretch",
    filter="bilinear",
    trained_on="nothing",
    license="CC0-1.0",
)

_TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def mean_colour(path: Path, info: EncoderInfo = TINY) -> Path:
    """Write an encoder with our metadata: bytes of 4×4 px, centred and flattened."""
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "centre"], ["centred"]),
        helper.make_node("Flatten", ["centred"], ["embeddings"], axis=1),
    ]
    size = info.width * info.height * info.channels
    return _save(
        path,
        nodes,
        [("images", "uint8", ["n", info.height, info.width, info.channels])],
        [("embeddings", ["n", size])],
        {"centre": np.float32(100.0)},
        info.to_metadata(),
    )


def color_classes(path: Path, classes: Sequence[int]) -> Path:
    """Write `mean_colour` as the encoder ``photos`` that recognizes a class of ImageNet by each of red, green, blue."""
    info = replace(TINY, name="photos")
    weights = np.zeros((3, 1000), np.float32)
    weights[range(3), list(classes)] = 0.1
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "centre"], ["centred"]),
        helper.make_node("Flatten", ["centred"], ["embeddings"], axis=1),
        helper.make_node("ReduceMean", ["centred", "axes"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "weights"], ["class_scores"]),
    ]
    return _save(
        path,
        nodes,
        [("images", "uint8", ["n", 4, 4, 3])],
        [("embeddings", ["n", 48]), ("class_scores", ["n", 1000])],
        {"centre": np.float32(100.0), "axes": np.array([1, 2], dtype=np.int64), "weights": weights},
        replace(info, output="embeddings").to_metadata(),
    )


def identity(
    path: Path,
    shape: Sequence[int | str | None],
    *,
    dtype: str = "float32",
    output_rank: int = 2,
    name: str = "pixel_values",
) -> Path:
    """Write a foreign model: an input of `shape`, its values again as output of rank 2, 3 (tokens) or 4 (a map)."""
    nodes = [helper.make_node("Cast", [name], ["values"], to=TensorProto.FLOAT)]
    if output_rank == 2:
        nodes.append(helper.make_node("Flatten", ["values"], ["output"], axis=1))
    elif output_rank == 4:
        nodes.append(helper.make_node("Identity", ["values"], ["output"]))
    else:
        # Tokens: channels first or last, whichever; (n, a, b·c).
        nodes.append(helper.make_node("Reshape", ["values", "token_shape"], ["output"]))
    constants = {"token_shape": np.array([0, 0, -1], dtype=np.int64)} if output_rank == 3 else {}
    return _save(path, nodes, [(name, dtype, list(shape))], [("output", [None] * output_rank)], constants, {})


def several_outputs(path: Path, outputs: dict[str, list[int | str]], info: EncoderInfo | None = None) -> Path:
    """Write a model of 4×4 px whose outputs, of the shapes ``[n, …]``, hold 1, 2, 3, … in their order."""
    nodes, constants = [], {}
    for number, (name, shape) in enumerate(outputs.items(), start=1):
        # The mean over everything but the batch is multiplied by 0, so that each value is the output's number.
        nodes += [
            helper.make_node("Cast", ["images"], [f"{name}.float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", [f"{name}.float", "axes"], [f"{name}.mean"], keepdims=0),
            helper.make_node("Mul", [f"{name}.mean", "zero"], [f"{name}.zero"]),
            helper.make_node("Reshape", [f"{name}.zero", f"{name}.flat"], [f"{name}.column"]),
            helper.make_node("Add", [f"{name}.column", f"{name}.values"], [name]),
        ]
        constants[f"{name}.flat"] = np.array([-1] + [1] * (len(shape) - 1), dtype=np.int64)
        constants[f"{name}.values"] = np.full([1, *shape[1:]], number, dtype=np.float32)
    constants |= {"axes": np.array([1, 2, 3], dtype=np.int64), "zero": np.float32(0.0)}
    inputs = [("images", "uint8", ["n", 4, 4, 3])]
    return _save(path, nodes, inputs, list(outputs.items()), constants, info.to_metadata() if info else {})


def two_inputs(path: Path) -> Path:
    """Write a model that takes an image and something else."""
    nodes = [helper.make_node("Add", ["image", "text"], ["output"])]
    inputs = [("image", "float32", [1, 3, 4, 4]), ("text", "float32", [1, 3, 4, 4])]
    return _save(path, nodes, inputs, [("output", [1, 3, 4, 4])], {}, {})


def not_a_number(path: Path) -> Path:
    """Write an encoder that gives NaN for pictures with a black first value, and finite numbers for others."""
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("Log", ["flat"], ["logs"]),
        helper.make_node("Mul", ["logs", "zero"], ["zeros"]),  # 0 · log 0 is NaN
        helper.make_node("Add", ["flat", "zeros"], ["output"]),
    ]
    inputs = [("images", "uint8", ["n", 4, 4, 3])]
    return _save(path, nodes, inputs, [("output", ["n", 48])], {"zero": np.float32(0.0)}, {})


def large_values(path: Path) -> Path:
    """Write an encoder whose vectors have finite values of which the squares are not finite."""
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("Mul", ["flat", "factor"], ["output"]),
    ]
    inputs = [("images", "uint8", ["n", 4, 4, 3])]
    return _save(path, nodes, inputs, [("output", ["n", 48])], {"factor": np.float32(1e30)}, {})


def varying_size(path: Path) -> Path:
    """Write an encoder of one image at a time, whose vectors have more values the brighter the image is."""
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
        helper.make_node("ReduceMax", ["pixels"], ["largest"], keepdims=0),
        helper.make_node("Div", ["largest", "six"], ["share"]),
        helper.make_node("Cast", ["share"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["whole", "one"], ["end"]),
        helper.make_node("Slice", ["flat", "zero", "end", "one"], ["output"]),
    ]
    constants = {"six": np.float32(6), "zero": np.array([0], np.int64), "one": np.array([1], np.int64)}
    return _save(path, nodes, [("images", "uint8", [1, 4, 4, 3])], [("output", [1, None])], constants, {})


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[tuple[str, str, list[int | str | None]]],
    outputs: list[tuple[str, list[int | str | None]]],
    constants: dict[str, np.ndarray | np.generic],
    metadata: dict[str, str],
) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, _TYPES[dtype], shape) for name, dtype, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def without_values(path: Path) -> Path:
    """Write a foreign model whose vectors have no values."""
    nodes = [
        helper.make_node("Flatten", ["images"], ["pixels"], axis=1),
        helper.make_node("Slice", ["pixels", "zero", "zero", "axis"], ["embeddings"]),
    ]
    constants = {"zero": np.array([0], np.int64), "axis": np.array([1], np.int64)}
    return _save(path, nodes, [("images", "float32", ["n", 3, 4, 4])], [("embeddings", ["n", None])], constants, {})


def endless(path: Path) -> Path:
    """Write a foreign model that adds one to its pixels 10^12 times."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["sum", "one"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Flatten", ["images"], ["start"], axis=1),
        helper.make_node("Loop", ["count", "true", "start"], ["embeddings"], body=body),
    ]
    constants = {"count": np.int64(10**12), "true": np.bool_(True), "one": np.float32(1)}
    return _save(path, nodes, [("images", "float32", ["n", 3, 4, 4])], [("embeddings", ["n", 48])], constants, {})
