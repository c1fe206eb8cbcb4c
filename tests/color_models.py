"""An encoder with a text part that knows colors only, with the inputs and outputs of `clip-vit-b32`.

The vector of an image is its mean color, that of a text the color of its words, so that results have a meaning.
"""

from __future__ import annotations

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from imgcluster.encoders.named_encoders import NAMED_ENCODERS
from local_hub import Repo

SIZE = 512
COLORS = {
    "red": (210, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 60, 200),
    "yellow": (240, 220, 40),
    "black": (5, 5, 5),
    "white": (250, 250, 250),
}
PADDING = "<|endoftext|>"
# The color as seen from gray, and a part that all images share.
_GRAY = 128.0
_SHARED = 30.0

_ROW = NAMED_ENCODERS["clip-vit-b32"]
assert _ROW.text is not None
assert _ROW.options.mean is not None
assert _ROW.options.std is not None
PREPROCESSING = {
    "image_processor_type": "CLIPImageProcessor",
    "size": 224,
    "crop_size": 224,
    "resample": 3,
    "image_mean": list(_ROW.options.mean),
    "image_std": list(_ROW.options.std),
}


def repository(*, text_size: int = SIZE, words: dict[str, tuple[int, int, int]] | None = None) -> Repo:
    """Return the repository of `clip-vit-b32` with these models."""
    words = COLORS if words is None else words
    return Repo(
        {
            "onnx/vision_model.onnx": image_model(),
            "onnx/text_model.onnx": text_model(words, text_size),
            "preprocessor_config.json": json.dumps(PREPROCESSING).encode(),
            "tokenizer.json": tokenizer(words).encode(),
        },
        license="mit",
    )


def tokenizer(words: dict[str, tuple[int, int, int]]) -> str:
    """Return a tokenizer whose tokens are whole words; 0 is padding, 1 any unknown word."""
    vocabulary = {token: number for number, token in enumerate([PADDING, "[UNK]", *words])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return str(made.to_str())


def image_model() -> bytes:
    mean, std = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (_ROW.options.mean, _ROW.options.std))
    nodes = [
        helper.make_node("Mul", ["pixel_values", "std"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["pixels"]),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["color"], keepdims=0),
        helper.make_node("MatMul", ["color", "weights"], ["projected"]),
        helper.make_node("Add", ["projected", "shift"], ["image_embeds"]),
    ]
    weights = np.zeros((3, SIZE), np.float32)
    weights[range(3), range(3)] = 255
    constants = {"mean": mean, "std": std, "axes": np.array([2, 3], np.int64), "weights": weights}
    constants["shift"] = _vector((0, 0, 0), SIZE)
    shape = ["batch_size", "num_channels", "height", "width"]
    return _model(nodes, ("pixel_values", TensorProto.FLOAT, shape), ("image_embeds", SIZE), constants)


def text_model(words: dict[str, tuple[int, int, int]], size: int = SIZE) -> bytes:
    """Return a model that adds the vectors of the tokens; those of padding and of unknown words count little."""
    table = np.zeros((2 + len(words), size), np.float32)
    table[1, 3] = 1e-3
    for number, color in enumerate(words.values(), start=2):
        table[number] = _vector(color, size)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["vectors"]),
        helper.make_node("ReduceSum", ["vectors", "axes"], ["text_embeds"], keepdims=0),
    ]
    constants = {"table": table, "axes": np.array([1], np.int64)}
    shape = ["batch_size", "sequence_length"]
    return _model(nodes, ("input_ids", TensorProto.INT64, shape), ("text_embeds", size), constants)


def _vector(color: tuple[int, int, int], size: int) -> np.ndarray:
    vector = np.zeros(size, np.float32)
    vector[:3] = np.array(color, np.float32) - _GRAY
    vector[3] = _SHARED
    return vector


def _model(
    nodes: list[onnx.NodeProto],
    taken: tuple[str, int, list[str]],
    given: tuple[str, int],
    constants: dict[str, np.ndarray],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info(*taken)],
        [helper.make_tensor_value_info(given[0], TensorProto.FLOAT, ["batch_size", given[1]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
