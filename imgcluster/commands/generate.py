"""`generate`: new images, made by the decoder of a variational autoencoder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from imgcluster.commands.encode import Encoder
from imgcluster.commands.support.output_folder import check_replaceable
from imgcluster.encoders.decoder import Decoder
from imgcluster.errors import EncoderError, UsageError
from imgcluster.fileio.path_text import to_text
from imgcluster.images.arrays import tile, to_pixels, write_png
from imgcluster.progress import OnProgress, Progress, ignore_progress

__all__ = ["DEFAULT_SPREAD", "GenerateSummary", "generate"]

DEFAULT_SPREAD: Final = 0.2
"""Standard deviation of embeddings drawn around an image; that of all images is about 1."""

_BATCH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateSummary:
    """The result of `generate`.

    Attributes:
        encoder: Name of the encoder.
        device: The device it ran on.
        output: The folder with ``grid.png``, ``0001.png``, ``0002.png`` and so on.
        images: Number of images.
        seed: The seed.
        around: The image that they are similar to; None if they were drawn freely.
    """

    encoder: str
    device: str
    output: str
    images: int
    seed: int
    around: str | None


def generate(
    *,
    encoder: str | os.PathLike[str],
    count: int = 64,
    output: str | os.PathLike[str] = "imgcluster-generated",
    seed: int = 0,
    around: str | os.PathLike[str] | None = None,
    spread: float | None = None,
    device: str = "auto",
    on_progress: OnProgress = ignore_progress,
) -> GenerateSummary:
    """Make images from embeddings drawn from the standard normal distribution.

    Args:
        encoder: The name of a variational encoder, or its ``.onnx`` file.
        count: Number of images; at least 1.
        output: The folder to write to; created if it does not exist. Images that `generate` wrote there are replaced.
        seed: The same seed gives the same images.
        around: An image file to draw embeddings around; the first image is its reconstruction.
        spread: Standard deviation of the embeddings around it; at least 0, by default `DEFAULT_SPREAD`.
        device: ``auto``, ``cpu``, ``cuda``, …; see `device_names.DEVICES`.
        on_progress: Called after each batch.

    Raises:
        UsageError: An option is not possible, `around` does not exist, or it or a file that imgcluster did not write
            would be replaced.
        NoImagesError: `around` cannot be read as an image.
        EncoderError: The encoder cannot be used, or is not variational.
        DeviceError: The named device does not run here.
    """
    spread = _check_options(count=count, seed=seed, spread=spread, around=around)
    model = Encoder(encoder, device=device)
    decoder = Decoder(model)
    if decoder.info.prior != "normal":
        raise EncoderError(
            f"encoder {model.info.name} is not variational, so its embeddings have no known distribution to draw from; "
            "use a variational encoder such as fashion-mnist-vae"
        )
    folder, digits = Path(output), max(4, len(str(count)))
    files, grid = [folder / f"{number:0{digits}d}.png" for number in range(1, count + 1)], folder / "grid.png"
    check_replaceable(folder, [*files, grid])
    if around is not None and os.path.realpath(around) in {os.path.realpath(file) for file in (*files, grid)}:
        raise UsageError(f"--around {to_text(around)} would be replaced; choose another folder to write to")
    codes = np.random.default_rng(seed).standard_normal((count, decoder.info.latent), dtype=np.float32)
    if around is not None:
        codes[0] = 0.0
        codes = model.encode(around) + np.float32(spread) * codes
    batches = []
    for start in range(0, count, _BATCH):
        pixels = to_pixels(decoder.decode(codes[start : start + _BATCH]))
        for file, image in zip(files[start:], pixels, strict=False):
            write_png(file, image)
        batches.append(pixels)
        on_progress(Progress("generate", min(start + _BATCH, count), count))
    write_png(grid, tile(np.concatenate(batches)))
    return GenerateSummary(
        encoder=model.info.name,
        device=model.device,
        output=to_text(folder),
        images=count,
        seed=seed,
        around=None if around is None else to_text(around),
    )


def _check_options(*, count: int, seed: int, spread: float | None, around: str | os.PathLike[str] | None) -> float:
    """Return the standard deviation of the embeddings around an image."""
    if count < 1:
        raise UsageError(f"--count {count} is not allowed; it is at least 1")
    if seed < 0:
        raise UsageError(f"--seed {seed} is not allowed; it is at least 0")
    if spread is None:
        return DEFAULT_SPREAD
    if around is None:
        raise UsageError("--spread is for --around: add --around IMAGE")
    if not 0 <= spread < float("inf"):
        raise UsageError(f"--spread {spread} is not allowed; it is at least 0")
    return spread
