"""Files of lower precisions agree with the encoder they are made from, and carry their reference vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from imgcluster import Encoder, UsageError  # noqa: E402
from imgcluster.encoders.metadata import EncoderInfo  # noqa: E402
from imgcluster.encoders.precision import cosines  # noqa: E402
from imgcluster.types import Pixels  # noqa: E402
from imgcluster_training.export.precisions import calibration_images, write_fp16, write_int8  # noqa: E402
from imgcluster_training.export.to_onnx import export_encoder  # noqa: E402

INFO = EncoderInfo(
    name="small", version="1", embedding_size=16, metric="cosine", width=12, height=12, channels=3, resize="crop"
)


class Small(torch.nn.Module):
    """Three convolutions, averaged, and class scores."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.layers = torch.nn.ModuleList(
            torch.nn.Conv2d(before, after, 3, padding=1) for before, after in ((3, 32), (32, 32), (32, 16))
        )
        self.classes = torch.nn.Linear(16, 5)
        for parameter in self.parameters():
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for layer in self.layers:
            images = layer(images).clamp(0, 6)
        mean = images.mean(dim=(2, 3))
        return mean, self.classes(mean)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "small.onnx"
    export_encoder(Small(), INFO, path, mean=127.0, scale=128.0, outputs=("embeddings", "class_scores"))
    return path


@pytest.fixture(scope="module")
def images() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), dtype=np.uint8)


@pytest.mark.parametrize(("precision", "least"), [("fp16", 0.99999), ("int8", 0.999)])
def test_each_precision_agrees(full: Path, images: Pixels, tmp_path: Path, precision: str, least: float) -> None:
    path = tmp_path / f"small.{precision}.onnx"
    write = write_fp16 if precision == "fp16" else lambda source, target: write_int8(source, target, images)
    write(full, path)
    encoder, original = Encoder(path, device="cpu"), Encoder(full, device="cpu")
    assert (encoder.info.precision, encoder.info.embedding_size) == (precision, 16)
    assert cosines(encoder.encode(images), original.encode(images)).min() > least
    np.testing.assert_allclose(encoder.class_scores(images), original.class_scores(images), atol=0.05)
    assert path.stat().st_size < full.stat().st_size
    first = path.read_bytes()
    write(full, path)
    assert path.read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("bits", "in_float", "largest"), [(8, 0, 127), (7, 0, 64), (7, 2, 64)])
def test_bits_and_convolutions_in_float(
    full: Path, images: Pixels, tmp_path: Path, bits: int, in_float: int, largest: int
) -> None:
    path = tmp_path / "small.int8.onnx"
    write_int8(full, path, images, weight_bits=bits, float_convolutions=in_float)
    tensors = [entry for entry in onnx.load(path).graph.initializer if len(entry.dims) == 4]
    weights = [onnx.numpy_helper.to_array(entry) for entry in tensors]
    assert [values.dtype.name for values in weights].count("float32") == in_float
    assert max(np.abs(values.astype(int)).max() for values in weights if values.dtype == np.int8) == largest
    assert cosines(Encoder(path, device="cpu").encode(images), Encoder(full, device="cpu").encode(images)).min() > 0.999


def test_calibration_images_come_from_all_parts_of_a_folder(tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / str(number // 3)
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (20, 30), (number * 40, 0, 0)).save(folder / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    chosen = calibration_images(tmp_path, INFO.input_spec, count=3)
    assert chosen[:, 0, 0, 0].tolist() == [0, 80, 160]
    with pytest.raises(UsageError, match=r"6 photographs; 7"):
        calibration_images(tmp_path, INFO.input_spec, count=7)
