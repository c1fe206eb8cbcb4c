"""Encoders with several precisions: which file runs, on which condition, and what a workspace records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner, Result

import tiny_models
from imgcluster import Encoder, EncoderError, UsageError, encoder_list
from imgcluster.cli.app import app
from imgcluster.encoders import precision as precision_module
from imgcluster.encoders.precision import (
    REFERENCE_KEY,
    cosines,
    order_of,
    read_reference,
    reference_images,
    split_precision,
    write_reference,
)

TINY_REFERENCE = reference_images(4, 4, 3).reshape(2, -1).astype(np.float32) - 100


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's encoder folder with `tiny` in fp32."""
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path / "encoders"))
    (tmp_path / "encoders").mkdir()
    tiny_models.mean_colour(tmp_path / "encoders/tiny.onnx")
    return tmp_path / "encoders"


def add(folder: Path, precision: str, reference: str) -> Path:
    """Write `tiny` in another precision, with reference vectors."""
    path = tiny_models.mean_colour(folder / f"tiny.{precision}.onnx")
    model = onnx.load(path)
    if reference:
        model.metadata_props.add(key=REFERENCE_KEY, value=reference)
    onnx.save(model, path)
    return path


def with_dot_products(monkeypatch: pytest.MonkeyPatch, present: bool) -> None:
    monkeypatch.setattr(precision_module, "has_int8_dot_products", lambda: present)


def test_names_and_precisions_of_files() -> None:
    assert split_precision("photos") == ("photos", "fp32")
    assert split_precision("photos.int8") == ("photos", "int8")
    assert split_precision("dinov2.v1") == ("dinov2.v1", "fp32")
    assert split_precision(".int8") == (".int8", "fp32")


@pytest.mark.parametrize(
    ("device", "dot_products", "checked", "first"),
    [
        ("cpu", True, True, "int8"),
        ("cpu", True, False, "fp32"),
        ("cpu", False, True, "fp32"),
        ("cuda", True, True, "fp16"),
        ("openvino", True, True, "fp32"),
    ],
)
def test_auto_prefers_what_is_fast_and_agrees(
    monkeypatch: pytest.MonkeyPatch, device: str, dot_products: bool, checked: bool, first: str
) -> None:
    with_dot_products(monkeypatch, dot_products)
    assert order_of(device, ("fp32", "fp16", "int8"), checked=checked)[0] == first
    assert order_of(device, ("int8",), checked=False) == ["int8"]


def test_reference_vectors_are_stored_as_text() -> None:
    vectors = np.random.default_rng(0).normal(size=(2, 7)).astype(np.float32)
    read = read_reference(write_reference(vectors))
    assert cosines(read, vectors).min() > 0.9999
    assert cosines(vectors, vectors * np.nan).tolist() == [0, 0]
    with pytest.raises(EncoderError, match="imgcluster.reference"):
        read_reference("no base64!")


def test_reference_images_differ_in_every_channel_and_from_each_other() -> None:
    images = reference_images(32, 24, 3)
    assert images.shape == (2, 24, 32, 3)
    assert images.std(axis=(1, 2)).min() > 20
    assert not np.array_equal(images[0], images[1])


def test_int8_runs_on_a_fitting_processor_if_it_agrees(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_dot_products(monkeypatch, True)
    add(folder, "int8", write_reference(TINY_REFERENCE))
    encoder = Encoder("tiny", device="cpu")
    assert (encoder.info.name, encoder.info.precision, encoder.path.name) == ("tiny", "int8", "tiny.int8.onnx")
    assert Encoder("tiny", device="cpu", precision="fp32").info.precision == "fp32"
    with_dot_products(monkeypatch, False)
    assert Encoder("tiny", device="cpu").info.precision == "fp32"


@pytest.mark.parametrize("reference", ["", write_reference(-TINY_REFERENCE), write_reference(TINY_REFERENCE[:, :5])])
def test_int8_that_is_not_checked_or_deviates_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    with_dot_products(monkeypatch, True)
    add(folder, "int8", reference)
    assert Encoder("tiny", device="cpu").info.precision == "fp32"
    if reference:
        with pytest.raises(EncoderError, match=r"int8.*0\.9985.*--precision"):
            Encoder("tiny", device="cpu", precision="int8")


def test_an_encoder_of_one_precision_has_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_dot_products(monkeypatch, False)
    add(folder, "int8", write_reference(TINY_REFERENCE))
    (folder / "tiny.onnx").unlink()
    (folder / "tiny.md").write_text("The card.", encoding="utf-8")
    assert Encoder("tiny", device="cpu").info.precision == "int8"
    (entry,) = [entry for entry in encoder_list() if entry.name == "tiny"]
    assert entry.card == "The card."
    with pytest.raises(UsageError, match="--precision fp16.*int8"):
        Encoder("tiny", device="cpu", precision="fp16")


def test_a_file_is_one_precision(folder: Path) -> None:
    path = add(folder, "int8", "")
    assert Encoder(path, device="cpu").info.precision == "int8"
    with pytest.raises(UsageError, match="--precision fp32.*int8"):
        Encoder(path, device="cpu", precision="fp32")
    with pytest.raises(UsageError, match="--precision int4"):
        Encoder("tiny", device="cpu", precision="int4")


def embed(pictures: Path, workspace: Path, *words: str) -> Result:
    texts = ["embed", str(pictures), "-w", str(workspace), "--encoder", "tiny", "--device", "cpu", *words]
    return CliRunner().invoke(app, texts)


def recorded(workspace: Path) -> str:
    return str(json.loads((workspace / "manifest.json").read_text(encoding="utf-8"))["encoder"]["precision"])


def test_a_workspace_records_its_precision_and_keeps_to_it(
    folder: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_dot_products(monkeypatch, False)
    workspace = tmp_path / "out"
    assert embed(pictures, workspace).exit_code == 0
    assert recorded(workspace) == ""
    add(folder, "int8", write_reference(TINY_REFERENCE))
    with_dot_products(monkeypatch, True)
    again = embed(pictures, workspace)
    assert again.exit_code == 0, again.output
    assert recorded(workspace) == "fp32"
    mixed = embed(pictures, workspace, "--precision", "int8")
    assert mixed.exit_code == 1
    assert all(word in mixed.stderr for word in ("fp32", "int8", "--fresh"))
    assert embed(pictures, workspace, "--fresh").exit_code == 0
    assert recorded(workspace) == "int8"
    with_dot_products(monkeypatch, False)
    assert embed(pictures, workspace).exit_code == 0
    assert recorded(workspace) == "int8"
