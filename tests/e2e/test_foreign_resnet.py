"""A residual network of somebody else, exported in all the ways that people export: each works or says why not."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import imgcluster
from imgcluster.cli.app import app

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

SIZE = 32
NORMALIZATION = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")


class ResNet(torch.nn.Module):  # type: ignore[misc, name-defined]
    """One residual block; returns the class scores and the embedding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        nn = torch.nn
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(
            nn.Conv2d(8, 8, 3, 1, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, 1, 1, bias=False),
            nn.BatchNorm2d(8),
        )
        self.head = nn.Linear(8, 10)

    def forward(self, images: Any) -> Any:
        features = self.stem(images)
        embedding = torch.relu(features + self.block(features)).mean(dim=(2, 3))
        return self.head(embedding), embedding


class Rearranged(torch.nn.Module):  # type: ignore[misc, name-defined]
    """The network with another form of input."""

    def __init__(self, rearrange: Callable[[Any], Any]) -> None:
        super().__init__()
        self.network = ResNet()
        self.rearrange = rearrange

    def forward(self, images: Any) -> Any:
        return self.network(self.rearrange(images))


def export(path: Path, module: Any, example: Any, *, open_batch: bool = True) -> Path:
    names = ("images", "logits", "embedding")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            path,
            input_names=["images"],
            output_names=["logits", "embedding"],
            dynamic_axes={name: {0: "batch"} for name in names} if open_batch else None,
            opset_version=17,
            dynamo=False,
        )
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resnet") / "in"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(5):
        pixels = generator.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def expected(pictures: Path) -> npt.NDArray[np.float32]:
    """What PyTorch returns."""
    pixels = np.stack([np.asarray(Image.open(path), dtype=np.float32) for path in sorted(pictures.iterdir())]) / 255
    normalized = (pixels - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    with torch.no_grad():
        embedding = ResNet().eval()(torch.from_numpy(normalized.transpose(0, 3, 1, 2)))[1]
    return np.asarray(embedding.numpy(), dtype=np.float32)


def embed(pictures: Path, model: Path, workspace: Path, *words: str) -> Result:
    texts = ["embed", pictures, "--encoder", model, "-w", workspace, "--device", "cpu", *NORMALIZATION, *words]
    return CliRunner().invoke(app, [str(text) for text in texts])


def vectors(pictures: Path, model: Path, workspace: Path, *words: str) -> npt.NDArray[np.float32]:
    result = embed(pictures, model, workspace, *words)
    assert result.exit_code == 0, result.output
    encoder = json.loads((workspace / "manifest.json").read_text(encoding="utf-8"))["encoder"]
    assert (encoder["output"], encoder["embedding_size"]) == ("embedding", 8)
    return imgcluster.load(workspace).vectors


def test_logits_and_embedding(pictures: Path, expected: npt.NDArray[np.float32], tmp_path: Path) -> None:
    model = export(tmp_path / "resnet.onnx", ResNet(), torch.randn(2, 3, SIZE, SIZE))
    np.testing.assert_allclose(vectors(pictures, model, tmp_path / "out"), expected, atol=1e-5)


def test_fp16(pictures: Path, expected: npt.NDArray[np.float32], tmp_path: Path) -> None:
    model = export(tmp_path / "half.onnx", ResNet().half(), torch.randn(2, 3, SIZE, SIZE).half())
    np.testing.assert_allclose(vectors(pictures, model, tmp_path / "out"), expected, atol=5e-3)


def test_a_fixed_batch_of_one(pictures: Path, expected: npt.NDArray[np.float32], tmp_path: Path) -> None:
    model = export(tmp_path / "one.onnx", ResNet(), torch.randn(1, 3, SIZE, SIZE), open_batch=False)
    np.testing.assert_allclose(vectors(pictures, model, tmp_path / "out"), expected, atol=1e-5)


def test_nhwc(pictures: Path, expected: npt.NDArray[np.float32], tmp_path: Path) -> None:
    module = Rearranged(lambda images: images.permute(0, 3, 1, 2))
    model = export(tmp_path / "nhwc.onnx", module, torch.randn(2, SIZE, SIZE, 3))
    np.testing.assert_allclose(vectors(pictures, model, tmp_path / "out"), expected, atol=1e-5)


def test_no_batch_axis(pictures: Path, tmp_path: Path) -> None:
    module = Rearranged(lambda image: image.unsqueeze(0))
    model = export(tmp_path / "single.onnx", module, torch.randn(3, SIZE, SIZE), open_batch=False)
    result = embed(pictures, model, tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "(3, 32, 32)" in result.stderr
    assert "(n, channels, height, width)" in result.stderr
    assert not (tmp_path / "out").exists()
