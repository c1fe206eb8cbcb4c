"""Exports PyTorch modules as ONNX files that describe themselves, and checks them before they are published.

An exported encoder takes ``uint8 (n, height, width, channels)`` and normalizes inside the graph, so that it can be
used without its recipe. An exported decoder returns ``float32 (n, height, width, channels)`` in [0, 1].
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from imgcluster.fileio.atomic import atomic_path
from imgcluster_training.models.autoencoder import Autoencoder
from imgcluster_training.recipe.schema import Recipe

__all__ = ["ExportedModel", "export_decoder", "export_encoder", "export_model", "run_onnx"]

_OPSET: Final = 20
_CHECKED_BATCHES: Final = (1, 5)
_BYTE_SCALE: Final = 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel:
    """The files of a model; `difference` is the largest one between ONNX Runtime and torch in the encoder."""

    encoder: Path
    decoder: Path | None
    info: EncoderInfo
    difference: float


def export_model(
    model: Autoencoder, info: EncoderInfo, recipe: Recipe, encoder: Path, decoder: Path | None
) -> ExportedModel:
    """Write the encoder of `model`, and its decoder if there is a path for it.

    Raises:
        EncoderError: An exported graph and its module differ too much.
    """
    difference = export_encoder(model.encoder, info, encoder, mean=0.0, scale=_BYTE_SCALE)
    if decoder is not None:
        decoder_info = DecoderInfo(
            name=info.name,
            version=info.version,
            latent=info.embedding_size,
            prior="normal" if recipe.model.code == "gaussian" else "none",
            content=recipe.data.target,
        )
        export_decoder(model.decoder, decoder_info, decoder)
    return ExportedModel(encoder=encoder, decoder=decoder, info=info, difference=difference)


class _BytesToInput(nn.Module):
    """A module after ``(x − mean) / scale`` and the change to channels first.

    Shape:
        - Input: ``uint8 (n, height, width, channels)``.
        - Output: the output of `module` for ``float32 (n, channels, height, width)``.
    """

    def __init__(self, module: nn.Module, *, mean: float, scale: float) -> None:
        super().__init__()
        self.module = module
        self.mean = mean
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        output: Tensor | tuple[Tensor, ...] = self.module((pixels - self.mean) / self.scale)
        return output


class _OutputToImages(nn.Module):
    """A module, followed by the change to channels last and clipping.

    Shape:
        - Input: ``float32 (n, latent)``.
        - Output: ``float32 (n, height, width, channels)`` in [0, 1].
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, codes: Tensor) -> Tensor:
        images: Tensor = self.module(codes)
        return images.clamp(0.0, 1.0).permute(0, 2, 3, 1)


def export_encoder(
    module: nn.Module,
    info: EncoderInfo,
    path: Path,
    *,
    mean: float,
    scale: float,
    outputs: Sequence[str] = ("embeddings",),
    tolerance: float = 1e-4,
) -> float:
    """Write `module` as the encoder `info` to `path`, and return the largest difference of ONNX Runtime from torch.

    The file is written only if ONNX's checker accepts it and its outputs agree with torch's within `tolerance`, for
    one and for several random images. The difference is absolute, or relative to the largest value if that is above
    1.

    Args:
        module: Maps normalized ``float32 (n, channels, height, width)`` to ``float32 (n, embedding_size)``, or to a
            tuple of several outputs.
        info: The file's metadata.
        path: The ``.onnx`` file to write.
        mean: Subtracted from the byte values.
        scale: The result is divided by it.
        outputs: The names of the outputs.
        tolerance: The largest accepted difference.

    Raises:
        EncoderError: The exported graph and the module differ by more than `tolerance`.
    """
    generator = np.random.default_rng(0)
    batches = [
        generator.integers(0, 256, (count, info.height, info.width, info.channels), dtype=np.uint8)
        for count in _CHECKED_BATCHES
    ]
    wrapped = _BytesToInput(module, mean=mean, scale=scale)
    return _export(wrapped, path, batches, ("images", outputs), info.to_metadata(), tolerance)


def export_decoder(module: nn.Module, info: DecoderInfo, path: Path, *, tolerance: float = 1e-4) -> float:
    """Write `module` as the decoder `info` to `path`, checked as in `export_encoder`; return the difference.

    Args:
        module: Maps ``float32 (n, latent)`` to images ``float32 (n, channels, height, width)``.
        info: The file's metadata.
        path: The ``.decoder.onnx`` file to write.
        tolerance: The largest accepted difference.

    Raises:
        EncoderError: The exported graph and the module differ by more than `tolerance`.
    """
    generator = np.random.default_rng(0)
    batches = [generator.standard_normal((count, info.latent), dtype=np.float32) for count in _CHECKED_BATCHES]
    return _export(_OutputToImages(module), path, batches, ("embeddings", ("images",)), info.to_metadata(), tolerance)


def run_onnx(path: Path, batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the first output of the ONNX file at `path` for `batch`, computed on the CPU."""
    return _outputs(path, batch)[0]


def _outputs(path: Path, batch: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: batch})
    return [np.asarray(values, dtype=np.float32) for values in found]


def _export(
    module: nn.Module,
    path: Path,
    batches: Sequence[npt.NDArray[Any]],
    names: tuple[str, Sequence[str]],
    metadata: dict[str, str],
    tolerance: float,
) -> float:
    # Exported from the CPU in the default memory order.
    wrapped = module.cpu().to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    # Not in the folder of encoders, where a kill would leave the parts of a model.
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / path.name
        with _quiet_exporter():
            torch.onnx.export(
                wrapped,
                (torch.from_numpy(batches[-1]),),
                temporary,
                input_names=[names[0]],
                output_names=list(names[1]),
                dynamic_shapes=({0: torch.export.Dim("n")},),
                opset_version=_OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, temporary)

        difference = max(_difference(wrapped, temporary, batch) for batch in batches)
        if not difference <= tolerance:
            raise EncoderError(
                f"the exported {path.name} differs from torch by {difference:.2g}; at most {tolerance:.2g} is allowed; "
                "nothing was written"
            )
        with atomic_path(path) as copy:
            shutil.copyfile(temporary, copy)
    return difference


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence warnings of torch's exporter about deprecations and about packages that it does not need."""
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
        result = module(torch.from_numpy(batch))
    expected = [values.numpy() for values in (result if isinstance(result, tuple) else (result,))]
    actual = _outputs(path, batch)
    if [values.shape for values in actual] != [values.shape for values in expected]:
        return float("inf")
    return max(
        float(np.abs(found - right).max() / max(1.0, np.abs(right).max()))
        for found, right in zip(actual, expected, strict=True)
    )
