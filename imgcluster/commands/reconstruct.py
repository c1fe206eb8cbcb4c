"""`reconstruct`: what an autoencoder makes of images again, beside the originals, and how far off each is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from imgcluster.encoders.decoder import Decoder
from imgcluster.encoders.encoder import Encoder
from imgcluster.errors import NoImagesError, UsageError
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.path_text import common_base, from_text, relative_to, to_text
from imgcluster.images.arrays import merge_chrominance, to_pixels, write_png
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder, FoundFile, UnreadablePath
from imgcluster.images.load import Loaded, NotAnImage, Skipped, default_workers, in_order, read_image
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import InputSpec, Pixels, Values
from imgcluster.workspace.tables import SKIPPED

__all__ = ["COLUMNS", "ReconstructSummary", "reconstruct"]

COLUMNS: Final = ("rank", "path", "mse", "psnr")
"""The columns of ``reconstruction.csv``; the image that is worst reconstructed comes first."""

_BATCH: Final = 32
_PSNR_LIMIT: Final = 1e-10  # of a perfect copy: 100 dB instead of infinity


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructSummary:
    """What `reconstruct` did.

    Attributes:
        encoder: Name of the encoder.
        device: The device it ran on.
        output: The folder with ``reconstruction.csv``, ``skipped.csv`` and ``pairs/``.
        denoised: The folder with the reconstructions alone; None where none was asked for.
        images: Images reconstructed.
        skipped: Images that could not be read; ``skipped.csv`` says why.
        mean_mse: Mean over images of the mean squared error, values in [0, 1].
        worst: The image with the largest error; it is the likeliest outlier.
        seconds: Wall-clock time.
    """

    encoder: str
    device: str
    output: str
    denoised: str | None
    images: int
    skipped: int
    mean_mse: float
    worst: str
    seconds: float


def reconstruct(
    paths: Sequence[str | os.PathLike[str]],
    *,
    encoder: str | os.PathLike[str],
    output: str | os.PathLike[str] = "imgcluster-reconstructed",
    denoised: str | os.PathLike[str] | None = None,
    device: str = "auto",
    workers: int | None = None,
    exclude: Sequence[str] = (),
    recursive: bool = True,
    on_progress: OnProgress = ignore_progress,
) -> ReconstructSummary:
    """Encode and decode the images under `paths`.

    In `output`, ``pairs/PATH.png`` shows every original beside its reconstruction, both as large as the encoder's
    input, and ``reconstruction.csv`` ranks the images by their error: what an encoder has not learned, it
    reconstructs badly. A colouriser's original is in colour although the encoder sees it in grey.

    Args:
        paths: Folders, walked recursively in sorted order, and files.
        encoder: The name of an encoder with a decoder, or its ``.onnx`` file.
        output: The folder to write to; made where it is missing.
        denoised: Another folder, for the reconstructions alone as ``PATH.png``.
        device: ``auto``, ``cpu``, ``cuda``, …; see `devices.DEVICES`.
        workers: Threads that read and decode; all processors without it.
        exclude: Globs of files and folders to leave out.
        recursive: Whether folders inside `paths` count.
        on_progress: Called with each step.

    Raises:
        UsageError: A path is missing, or an image would be written over one of the originals.
        NoImagesError: Nothing under `paths` is an image that can be read.
        EncoderError: The encoder cannot be used, or has no decoder.
        DeviceError: The device asked for by name does not run here.
    """
    started = time.monotonic()
    model = Encoder(encoder, device=device)
    decoder = Decoder(model)
    found = list(Finder(paths=paths, exclude=exclude, recursive=recursive).find())
    base = common_base(sorted({item.root for item in found}))
    target, clean = Path(output), None if denoised is None else Path(denoised)
    originals = {os.path.realpath(from_text(item.location)) for item in found}

    rows: list[tuple[float, str]] = []
    skipped = [(relative_to(item.location, base), item.reason) for item in found if isinstance(item, UnreadablePath)]
    files = [item for item in found if isinstance(item, FoundFile)]
    for batch in _batches(files, _wanted_spec(model, decoder), workers or default_workers(), skipped, base):
        wanted = np.stack([pixels for _, pixels in batch])
        made = _reconstructions(model, decoder, wanted)
        errors = np.square(made - wanted.astype(np.float32) / 255.0).mean(axis=(1, 2, 3))
        pixels = to_pixels(made)
        for number, (file, original) in enumerate(batch):
            path = relative_to(file.location, base)
            _write(target / "pairs", path, np.concatenate([original, pixels[number]], axis=1), originals)
            if clean is not None:
                _write(clean, path, pixels[number], originals)
            rows.append((float(errors[number]), path))
        on_progress(Progress("reconstruct", len(rows) + len(skipped), len(files)))
    if not rows:
        raise NoImagesError("nothing here is an image that can be read; give folders or files with images")
    rows.sort(key=lambda row: (-row[0], row[1]))
    ranked = enumerate(rows, start=1)
    write_table(
        target / "reconstruction.csv",
        COLUMNS,
        ((rank, path, f"{error:.6f}", f"{_psnr(error):.2f}") for rank, (error, path) in ranked),
    )
    write_table(target / "skipped.csv", SKIPPED, skipped)
    return ReconstructSummary(
        encoder=model.info.name,
        device=model.device,
        output=to_text(target),
        denoised=None if clean is None else to_text(clean),
        images=len(rows),
        skipped=len(skipped),
        mean_mse=sum(error for error, _ in rows) / len(rows),
        worst=rows[0][1],
        seconds=round(time.monotonic() - started, 3),
    )


def _wanted_spec(model: Encoder, decoder: Decoder) -> InputSpec:
    """Return the input of the encoder, in colour where the decoder makes colours from grey."""
    spec = model.info.input_spec
    colours = decoder.shape[2] != spec.channels
    return InputSpec(
        width=spec.width,
        height=spec.height,
        channels=3 if colours else spec.channels,
        resize=spec.resize,
        filter=spec.filter,
        crop_fraction=spec.crop_fraction,
    )


def _batches(
    files: Sequence[FoundFile], spec: InputSpec, workers: int, skipped: list[tuple[str, str]], base: str
) -> Iterator[list[tuple[FoundFile, Pixels]]]:
    batch: list[tuple[FoundFile, Pixels]] = []
    with quiet_decoders():
        for file, answer in in_order(lambda file: read_image(file, spec), files, workers):
            if isinstance(answer, Loaded):
                batch.append((file, answer.image.pixels))
            elif isinstance(answer, Skipped):
                skipped.append((relative_to(file.location, base), answer.reason))
            else:
                assert isinstance(answer, NotAnImage)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _reconstructions(model: Encoder, decoder: Decoder, wanted: Pixels) -> Values:
    seen = wanted
    if wanted.shape[3] != model.info.channels:
        seen = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in wanted])[..., np.newaxis]
    made = decoder.decode(model.encode(seen))
    if decoder.info.content == "chrominance":
        return merge_chrominance(seen.astype(np.float32) / 255.0, made)
    return made


def _write(folder: Path, path: str, pixels: Pixels, originals: set[str]) -> None:
    # Paths that start at a root or a drive must not lead out of the folder.
    parts = [part.replace(":", "_") for part in path.split("/") if part not in ("", "..")]
    target = folder / from_text("/".join(parts) + ".png")
    if os.path.realpath(target) in originals:
        raise UsageError(f"{to_text(target)} is one of the images; choose another folder to write to")
    write_png(target, pixels)


def _psnr(error: float) -> float:
    return float(-10 * np.log10(max(error, _PSNR_LIMIT)))
