"""What an ONNX file may refer to: checked before a session is created."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, external_data_helper, helper, numpy_helper

import tiny_models
from imgcluster import Encoder, EncoderError
from imgcluster.encoders.onnx_graph import check_graph, read_graph


def with_weights(path: Path, location: str, *, nested: bool = False) -> Path:
    """Write a model whose only weight is in the external file `location`; optionally inside the branch of an If."""
    weight = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(1, 12), "weight")
    external_data_helper.set_external_data(weight, location, offset=0, length=48)
    weight.ClearField("raw_data")
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
    ]
    weights = [weight]
    if nested:
        constant = helper.make_node("Constant", [], ["weight"], value=weight)
        result = helper.make_tensor_value_info("weight", TensorProto.FLOAT, [1, 12])
        branch = helper.make_graph([constant], "branch", [], [result])
        nodes.append(helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch))
        weights = [numpy_helper.from_array(np.array(True), "yes")]
    nodes.append(helper.make_node("Mul", ["flat", "chosen" if nested else "weight"], ["embeddings"]))
    graph = helper.make_graph(
        nodes,
        "weights",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 2, 2, 3])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 12])],
        weights,
    )
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    )
    return path


def write_weight(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.arange(12, dtype=np.float32).tobytes())


def custom(path: Path, domain: str, operator: str = "Twice", *, defined: bool = False) -> Path:
    """Write a model with an operator of another domain, which the model defines itself or not."""
    graph = helper.make_graph(
        [helper.make_node(operator, ["images"], ["embeddings"], domain=domain)],
        "custom",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 2, 2])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(domain, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    if defined:
        body = [helper.make_node("Flatten", ["x"], ["y"], axis=1)]
        model.functions.append(helper.make_function(domain, operator, ["x"], ["y"], body, opsets[:1]))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("nested", [False, True])
def test_weights_beside_the_model_are_read_and_part_of_its_identity(tmp_path: Path, nested: bool) -> None:
    path = with_weights(tmp_path / "model.onnx", "weights/model.bin", nested=nested)
    with pytest.raises(EncoderError, match=r"weights/model\.bin.*missing"):
        Encoder(path, device="cpu")
    write_weight(tmp_path / "weights/model.bin")
    assert read_graph(path).external_files == {"weights/model.bin"}
    first = Encoder(path, device="cpu")
    np.testing.assert_array_equal(first.encode(np.ones((1, 2, 2, 3), np.uint8)), [np.arange(12, dtype=np.float32)])
    (tmp_path / "weights/model.bin").write_bytes(np.ones(12, dtype=np.float32).tobytes())
    assert Encoder(path, device="cpu").identity != first.identity


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("location", ["../secret", "a/../../secret", "/etc/hostname", "..\\secret", "C:/secret", ""])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str, nested: bool) -> None:
    write_weight(tmp_path / "secret")
    (tmp_path / "inside").mkdir()
    path = with_weights(tmp_path / "inside/model.onnx", location, nested=nested)
    with pytest.raises(EncoderError, match="outside its folder"):
        Encoder(path, device="cpu")


def test_a_link_to_weights_outside_is_refused(tmp_path: Path) -> None:
    write_weight(tmp_path / "secret")
    (tmp_path / "inside").mkdir()
    os.symlink(tmp_path / "secret", tmp_path / "inside/weights")
    path = with_weights(tmp_path / "inside/model.onnx", "weights")
    with pytest.raises(EncoderError, match="outside its folder"):
        Encoder(path, device="cpu")


def test_custom_operators_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"custom operators \(ai\.onnx\.contrib\)"):
        Encoder(custom(tmp_path / "a.onnx", "ai.onnx.contrib"), device="cpu")
    with pytest.raises(EncoderError, match=r"custom operators \(EPContext\)"):
        Encoder(custom(tmp_path / "b.onnx", "com.microsoft", "EPContext"), device="cpu")


def test_functions_of_the_model_itself_are_no_custom_operators(tmp_path: Path) -> None:
    path = custom(tmp_path / "own.onnx", "my.functions", defined=True)
    assert check_graph(path).own_domains == {"my.functions"}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x80\x04\x95 a pickle", b"\x0a" * 50])
def test_other_files_are_no_models(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.onnx"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match=r"file\.onnx is not a readable ONNX model"):
        check_graph(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_models_end_in_an_encoder_error(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(tiny_models.mean_colour(tmp_path / "whole.onnx").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        facts = read_graph(path)
    except EncoderError:
        return
    assert facts.external_files == set() or all(isinstance(name, str) for name in facts.external_files)


def test_the_same_facts_as_the_onnx_package_sees() -> None:
    path = Path(__file__).parents[2] / "exported/photos.int8.onnx"
    model = onnx.load(path)
    facts = read_graph(path)
    assert facts.operators == {node.op_type for node in model.graph.node}
    assert facts.domains == {node.domain for node in model.graph.node}
