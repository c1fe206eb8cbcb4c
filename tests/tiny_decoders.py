"""Decoders of a few nodes for the encoders of `tiny_models`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from imgcluster.encoders.decoder import DecoderInfo
from tiny_models import TINY, mean_colour


def autoencoder(
    folder: Path,
    *,
    name: str = "auto",
    channels: int = 3,
    made: int | None = None,
    gain: float = 1.0,
    changes: dict[str, object] | None = None,
) -> Path:
    """Write an encoder of 4×4 px and a decoder that gives its pixels back, `gain` times as bright.

    With `made` channels unlike `channels` the decoder takes the first value of all as the value of every pixel.
    """
    info = dataclasses.replace(
        TINY, name=name, channels=channels, embedding_size=16 * channels, decoder=f"{name}.decoder.onnx"
    )
    encoder = mean_colour(folder / f"{name}.onnx", info)
    told = dataclasses.replace(DecoderInfo(name=name, version="1", latent=16 * channels), **(changes or {}))
    nodes = [
        helper.make_node("Add", ["codes", "centre"], ["pixels"]),
        helper.make_node("Div", ["pixels", "scale"], ["values"]),
        helper.make_node("Reshape", ["values", "shape"], ["made"]),
        helper.make_node("Clip", ["made", "zero", "one"], ["images"]),
    ]
    if made is not None:
        nodes[2:3] = [
            helper.make_node("Slice", ["values", "first", "second", "axis"], ["value"]),
            helper.make_node("Expand", ["value", "wide"], ["row"]),
            helper.make_node("Reshape", ["row", "shape"], ["made"]),
        ]
    count = made or channels
    constants = {
        "centre": np.float32(100.0),
        "scale": np.float32(255.0 / gain),
        "shape": np.array([-1, 4, 4, count], dtype=np.int64),
        "zero": np.float32(0),
        "one": np.float32(1),
    }
    if made is not None:
        constants |= {
            "first": np.array([0]),
            "second": np.array([1]),
            "axis": np.array([1]),
            "wide": np.array([1, 16 * made]),
        }
    graph = helper.make_graph(
        nodes,
        "decoder",
        [helper.make_tensor_value_info("codes", TensorProto.FLOAT, ["n", told.latent])],
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 4, 4, count])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, told.to_metadata())
    onnx.save(model, folder / f"{name}.decoder.onnx")
    return encoder
