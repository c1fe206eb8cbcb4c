"""From a PyTorch module to an ONNX file that describes itself, checked before it is believed.

An exported encoder takes ``uint8 (n, height, width, channels)`` and normalises inside the graph, so that
whoever runs it needs no recipe beside the file. An exported decoder gives ``float32 (n, height, width,
channels)`` in [0, 1], the same layout.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from imgcluster.encoders.decoder import DecoderInfo
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.errors import EncoderError

__all__ = ["BatchOfBytes", "ImagesOut", "export_decoder", "export_encoder", "run_onnx"]

_OPSET: Final = 20
_CHECKED_BATCHES: Final = (1, 5)


class BatchOfBytes(nn.Module):
    """Puts ``(x − mean) / scale`` and the channel order in front of a module.

    Shape:
        - Input: ``uint8 (n, height, width, channels)``.
        - Output: what `module` makes of ``float32 (n, channels, height, width)``.
    """

    def __init__(self, module: nn.Module, *, mean: float, scale: float) -> None:
        super().__init__()
        self.module = module
        self.mean = mean
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        output: Tensor = self.module((pixels - self.mean) / self.scale)
        return output


class ImagesOut(nn.Module):
    """Puts the channel order and the range of images behind a module.

    Shape:
        - Input: ``float32 (n, latent)``.
        - Output: ``float32 (n, height, width, channels)``, clipped to [0, 1].
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, codes: Tensor) -> Tensor:
        images: Tensor = self.module(codes)
        return images.clamp(0.0, 1.0).permute(0, 2, 3, 1)


def export_encoder(
    module: nn.Module, info: EncoderInfo, path: Path, *, mean: float, scale: float, tolerance: float = 1e-4
) -> float:
    """Write `module` as the encoder `info` to `path`, and return how far ONNX Runtime is from torch.

    The file appears only when onnx's checker accepts it and its outputs agree with torch's, on a batch of one
    and of several random images, to `tolerance` (largest absolute difference, relative to the largest value
    where that is above 1).

    Args:
        module: Maps normalised ``float32 (n, channels, height, width)`` to ``float32 (n, embedding_size)``.
        info: Goes into the file's metadata.
        path: The ``.onnx`` file to write.
        mean: Subtracted from the byte values.
        scale: The differences are divided by it.
        tolerance: The largest difference that is accepted.

    Raises:
        EncoderError: The exported graph and the module differ by more than `tolerance`.
    """
    generator = np.random.default_rng(0)
    batches = [
        generator.integers(0, 256, (count, info.height, info.width, info.channels), dtype=np.uint8)
        for count in _CHECKED_BATCHES
    ]
    wrapped = BatchOfBytes(module, mean=mean, scale=scale)
    return _export(wrapped, path, batches, ("images", "embeddings"), info.to_metadata(), tolerance)


def export_decoder(module: nn.Module, info: DecoderInfo, path: Path, *, tolerance: float = 1e-4) -> float:
    """Write `module` as the decoder `info` to `path`; the counterpart of `export_encoder`, checked in the same way.

    Args:
        module: Maps ``float32 (n, latent)`` to images ``float32 (n, channels, height, width)``.
        info: Goes into the file's metadata.
        path: The ``.decoder.onnx`` file to write.
        tolerance: The largest difference that is accepted.

    Raises:
        EncoderError: The exported graph and the module differ by more than `tolerance`.
    """
    generator = np.random.default_rng(0)
    batches = [generator.standard_normal((count, info.latent), dtype=np.float32) for count in _CHECKED_BATCHES]
    return _export(ImagesOut(module), path, batches, ("embeddings", "images"), info.to_metadata(), tolerance)


def run_onnx(path: Path, batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the first output of the ONNX file at `path` for `batch`, computed on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0], dtype=np.float32)


def _export(
    module: nn.Module,
    path: Path,
    batches: Sequence[npt.NDArray[Any]],
    names: tuple[str, str],
    metadata: dict[str, str],
    tolerance: float,
) -> float:
    # Exported from the CPU in the plain memory order, whatever the training ran on and in.
    wrapped = module.cpu().to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        with _quiet_exporter():
            torch.onnx.export(
                wrapped,
                (torch.from_numpy(batches[-1]),),
                draft,
                input_names=[names[0]],
                output_names=[names[1]],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                opset_version=_OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        model = onnx.load(draft)
        onnx.helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, draft)

        difference = max(_difference(wrapped, draft, batch) for batch in batches)
        if not difference <= tolerance:
            raise EncoderError(
                f"the exported {path.name} differs from torch by {difference:.2g}, allowed are {tolerance:.2g}; "
                "nothing was written"
            )
        os.replace(draft, path)
    return difference


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hold back what torch's exporter says about its own deprecations and about packages it does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _difference(module: nn.Module, path: Path, batch: npt.NDArray[Any]) -> float:
    with torch.no_grad():
        expected = module(torch.from_numpy(batch)).numpy()
    actual = run_onnx(path, batch)
    if actual.shape != expected.shape:
        return float("inf")
    return float(np.abs(actual - expected).max() / max(1.0, np.abs(expected).max()))
