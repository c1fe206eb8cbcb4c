"""The bundled encoders of photographs: vectors and class scores of each file, when each is used, and workspaces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner, Result

import imgcluster
from imgcluster import Encoder, EncoderError, UsageError
from imgcluster.cli.app import app
from imgcluster.encoders import precision as precision_module
from imgcluster.encoders.classes import top_classes
from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.precision import cosines, has_int8_dot_products, reference_images
from imgcluster.encoders.registry import bundled_encoders, bundled_folder
from imgcluster.images.decode import decode

EXAMPLES = Path(__file__).parents[2] / "examples" / "photos"
FILES = [("photos", "fp16"), ("photos", "int8"), ("photos-fast", "int8")]
VALUES = {"photos": 2688, "photos-fast": 2560}
# Values of the second reference image, computed once in full precision.
GOLDEN = {
    "photos": [-0.0342, 0.0425, 0.0182, 0.0041, -0.0263, 0.0033, 0.0117, 0.0195, -0.0316, -0.0216, 0.0125],
    "photos-fast": [0.045, -0.022, 0.0017, 0.024, 0.016, 0.0158, -0.0107, 0.0158, 0.0458, 0.0287],
}

needs_dot_products = pytest.mark.skipif(not has_int8_dot_products(), reason="int8 saturates on this processor")


def open_precision(name: str, precision: str) -> Encoder:
    """Return an encoder; `photos` in int8 only where the processor has dot products."""
    if (name, precision) == ("photos", "int8") and not has_int8_dot_products():
        pytest.skip("int8 saturates on this processor")
    return Encoder(name, device="cpu", precision=precision)


def references(name: str) -> imgcluster.types.Pixels:
    side = 260 if name == "photos" else 224
    return reference_images(side, side, 3)


@pytest.mark.parametrize(("name", "precision"), FILES)
def test_vectors_of_each_file(name: str, precision: str) -> None:
    encoder = open_precision(name, precision)
    vectors = encoder.encode(references(name))
    assert (encoder.info.precision, vectors.shape) == (precision, (2, VALUES[name]))
    # Both parts have length 1, so that neither decides alone.
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :1280], axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, 1280:], axis=1), 1, atol=1e-4)
    golden = np.array(GOLDEN[name], dtype=np.float32)[None]
    assert cosines(vectors[1:, 1280::128], golden).min() > (0.9999 if precision == "fp16" else 0.98)


@pytest.mark.parametrize(("name", "precision"), FILES)
def test_the_same_vectors_in_any_batch(name: str, precision: str) -> None:
    encoder = open_precision(name, precision)
    images = np.random.default_rng(1).integers(0, 256, (7, *references(name).shape[1:]), dtype=np.uint8)
    together = encoder.encode(images)
    for size in (1, 2, 3):
        parts = [encoder.encode(images[start : start + size]) for start in range(0, 7, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


@pytest.mark.parametrize(("name", "precision"), FILES)
def test_class_scores_are_those_of_imagenet(name: str, precision: str) -> None:
    encoder = open_precision(name, precision)
    # Swimming trunks, a jersey, a sandal.
    pictures = [EXAMPLES / f"photo_{number}.jpg" for number in (24, 12, 20)]
    pixels = np.stack([decode(path.read_bytes(), encoder.info.input_spec).pixels for path in pictures])
    scores = encoder.class_scores(pixels)
    np.testing.assert_array_equal(encoder.class_scores(pictures), scores)
    assert scores.shape == (3, 1000)
    assert scores.argmax(axis=1).tolist() == [842, 610, 774]
    assert scores.min() < 0  # logits
    assert encoder.class_scores(pixels[:0]).shape == (0, 1000)
    vectors, further = encoder.start(pixels, classes=True).result()
    found = top_classes(further)
    np.testing.assert_array_equal(vectors, encoder.encode(pixels))
    assert vectors.shape == (3, VALUES[name])
    assert found.classes[:, 0].tolist() == [842, 610, 774]


def test_an_encoder_without_classes_says_so() -> None:
    encoder = Encoder("mnist", device="cpu")
    with pytest.raises(UsageError, match="mnist.*photos"):
        encoder.class_scores(np.zeros((1, 28, 28, 1), dtype=np.uint8))
    assert len(encoder.start(np.zeros((1, 28, 28, 1), dtype=np.uint8), classes=True).result()) == 1


def test_photos_is_int8_only_where_the_processor_has_dot_products(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Encoder("photos", device="cpu").info.precision == ("int8" if has_int8_dot_products() else "fp16")
    monkeypatch.setattr(precision_module, "has_int8_dot_products", lambda: False)
    assert Encoder("photos", device="cpu").info.precision == "fp16"
    # Its weights have 7 bits, which do not saturate.
    assert Encoder("photos-fast", device="cpu").info.precision == "int8"
    with pytest.raises(UsageError, match="--precision fp32.*fp16, int8"):
        Encoder("photos", device="cpu", precision="fp32")


def test_the_weights_of_photos_fast_have_7_bits() -> None:
    for name, largest in (("photos", 127), ("photos-fast", 64)):
        graph = onnx.load(bundled_folder() / f"{name}.int8.onnx").graph
        weights = [
            numpy_helper.to_array(entry) for entry in graph.initializer if entry.data_type == onnx.TensorProto.INT8
        ]
        found = max(int(np.abs(values.astype(int)).max()) for values in weights if values.ndim == 4)
        assert found == largest


@needs_dot_products
def test_an_int8_file_with_other_vectors_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path))
    shutil.copy(bundled_folder() / "photos.fp16.onnx", tmp_path / "mine.fp16.onnx")
    model = onnx.load(bundled_folder() / "photos.int8.onnx")
    weights = next(
        entry for entry in model.graph.initializer if entry.data_type == onnx.TensorProto.INT8 and len(entry.dims) == 4
    )
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) // 4, weights.name))
    onnx.save(model, tmp_path / "mine.int8.onnx")
    assert Encoder("mine", device="cpu").info.precision == "fp16"
    with pytest.raises(EncoderError, match=r"int8.*mine.*--precision"):
        Encoder("mine", device="cpu", precision="int8")


def test_info_compares_the_precisions() -> None:
    entry = imgcluster.encoder_info("photos", check=True)
    assert entry.cosines["fp16"] == 1.0
    # Where int8 saturates it is worse.
    assert 0.98 < entry.cosines["int8"] < 1.0
    assert set(VALUES) <= set(bundled_encoders())


def embed(pictures: Path, workspace: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["embed", str(pictures), "-w", str(workspace), "--device", "cpu", *words])


def manifest(workspace: Path) -> dict[str, dict[str, str]]:
    return json.loads((workspace / "manifest.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for path in sorted(EXAMPLES.glob("*.jpg"))[:3]:
        shutil.copy(path, tmp_path / "pictures")
    return tmp_path / "pictures"


def test_a_workspace_keeps_to_its_precision(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = tmp_path / "out"
    assert embed(pictures, workspace, "--precision", "fp16").exit_code == 0
    shutil.copy(EXAMPLES / "photo_09.jpg", pictures)
    again = embed(pictures, workspace)
    assert (again.exit_code, manifest(workspace)["encoder"]["precision"]) == (0, "fp16")
    monkeypatch.setattr(PixelEncoder, "_compare", lambda *_: None)  # also where int8 would be refused
    mixed = embed(pictures, workspace, "--precision", "int8")
    assert mixed.exit_code == 1
    assert all(word in mixed.stderr for word in ("fp16", "int8", "--fresh"))


def test_a_workspace_of_an_older_version_is_not_continued_but_kept(pictures: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "out"
    assert embed(pictures, workspace).exit_code == 0
    # Version 2 had one file in full precision.
    content = manifest(workspace)
    content["encoder"] |= {"version": "2", "precision": "", "identity": "0" * 64}
    (workspace / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    refused = embed(pictures, workspace)
    assert refused.exit_code == 1
    assert all(word in refused.stderr for word in ("photos", "version", "2", "3", "--fresh", "-w"))
    assert manifest(workspace) == content
    assert embed(pictures, workspace, "--fresh").exit_code == 0
    assert manifest(workspace)["encoder"]["version"] == "3"
