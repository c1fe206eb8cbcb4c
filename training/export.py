"""From a PyTorch module to an ONNX encoder that describes itself, checked before it is believed.

An exported encoder takes ``uint8 (n, height, width, channels)`` and normalises inside the graph, so that whoever
runs it needs no recipe beside the file.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from imgcluster.encoders.info import EncoderInfo
from imgcluster.errors import EncoderError

__all__ = ["BatchOfBytes", "export_encoder", "run_onnx"]

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
    wrapped = BatchOfBytes(module, mean=mean, scale=scale).eval()
    generator = np.random.default_rng(0)
    batches = [
        generator.integers(0, 256, (count, info.height, info.width, info.channels), dtype=np.uint8)
        for count in _CHECKED_BATCHES
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        with warnings.catch_warnings():
            # torch's exporter warns about its own deprecations; what matters is checked below.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                wrapped,
                (torch.from_numpy(batches[-1]),),
                draft,
                input_names=["images"],
                output_names=["embeddings"],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                opset_version=_OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        model = onnx.load(draft)
        onnx.helper.set_model_props(model, info.to_metadata())
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


def run_onnx(path: Path, batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the first output of the ONNX file at `path` for `batch`, computed on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0], dtype=np.float32)


def _difference(module: nn.Module, path: Path, batch: npt.NDArray[np.uint8]) -> float:
    with torch.no_grad():
        expected = module(torch.from_numpy(batch)).numpy()
    actual = run_onnx(path, batch)
    return float(np.abs(actual - expected).max() / max(1.0, np.abs(expected).max()))
