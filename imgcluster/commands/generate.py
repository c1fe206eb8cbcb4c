"""`generate`: new images from the decoder of a variational autoencoder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from imgcluster.encoders.decoder import Decoder
from imgcluster.encoders.encoder import Encoder
from imgcluster.errors import EncoderError, NoImagesError, UsageError
from imgcluster.fileio.path_text import to_text
from imgcluster.images.arrays import tile, to_pixels, write_png
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder, FoundFile
from imgcluster.images.load import Loaded, Skipped, read_image
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Values

__all__ = ["DEFAULT_SPREAD", "GenerateSummary", "generate"]

DEFAULT_SPREAD: Final = 0.2
"""Standard deviation of what is drawn around an image; all images together have about 1."""

_BATCH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateSummary:
    """What `generate` wrote: ``grid.png`` and ``0001.png`` … in `output`, from `encoder` with `seed`.

    `around` is the image that they are similar to; None where they are drawn freely.
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
    spread: float = DEFAULT_SPREAD,
    device: str = "auto",
    on_progress: OnProgress = ignore_progress,
) -> GenerateSummary:
    """Make images from embeddings drawn from the standard normal distribution.

    Args:
        encoder: The name of a variational encoder, or its ``.onnx`` file.
        count: How many images.
        output: The folder to write to; made where it is missing. Images of an earlier call stay, unless one of
            this call has their name.
        seed: The same seed makes the same images.
        around: Draw around this image's embedding instead; the first image made is its plain reconstruction.
        spread: Standard deviation of that; at least 0.
        device: ``auto``, ``cpu``, ``cuda``, …; see `devices.DEVICES`.
        on_progress: Called with each step.

    Raises:
        UsageError: An option is not possible, or `around` is missing.
        NoImagesError: `around` is no image that can be read.
        EncoderError: The encoder cannot be used, or is not variational.
        DeviceError: The device asked for by name does not run here.
    """
    if count < 1 or seed < 0 or not 0 <= spread < float("inf"):
        raise UsageError(
            f"{count} images with seed {seed} and spread {spread} are not possible; "
            "at least 1 image, a seed and a spread of at least 0 are needed"
        )
    model = Encoder(encoder, device=device)
    decoder = Decoder(model)
    if decoder.info.prior != "normal":
        raise EncoderError(
            f"encoder {model.info.name} is not variational: nothing is known of where its embeddings lie; "
            "use one that is, such as fashion-mnist-vae"
        )
    codes = np.random.default_rng(seed).standard_normal((count, decoder.info.latent), dtype=np.float32)
    if around is not None:
        codes[0] = 0.0
        codes = _embedding(model, around) + np.float32(spread) * codes
    target = Path(output)
    digits = max(4, len(str(count)))
    made = []
    for start in range(0, count, _BATCH):
        pixels = to_pixels(decoder.decode(codes[start : start + _BATCH]))
        for number, image in enumerate(pixels, start=start + 1):
            write_png(target / f"{number:0{digits}d}.png", image)
        made.append(pixels)
        on_progress(Progress("generate", min(start + _BATCH, count), count))
    write_png(target / "grid.png", tile(np.concatenate(made)))
    return GenerateSummary(
        encoder=model.info.name,
        device=model.device,
        output=to_text(target),
        images=count,
        seed=seed,
        around=None if around is None else to_text(around),
    )


def _embedding(model: Encoder, path: str | os.PathLike[str]) -> Values:
    file = next((item for item in Finder(paths=[path], recursive=False).find() if isinstance(item, FoundFile)), None)
    if file is None or os.path.isdir(path):
        raise UsageError(f"--around {to_text(path)} is no file; give one image")
    with quiet_decoders():
        answer = read_image(file, model.info.input_spec)
    if not isinstance(answer, Loaded):
        reason = answer.reason if isinstance(answer, Skipped) else "it is no image"
        raise NoImagesError(f"--around {to_text(path)} cannot be read: {reason}")
    return model.encode(answer.image.pixels[np.newaxis])
