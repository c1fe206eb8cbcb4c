"""`reconstruct`: reconstructions of images by an autoencoder, beside the originals and ranked by error."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from imgcluster.commands.support.output_folder import check_replaceable
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.encoders.decoder import Decoder
from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.errors import NoImagesError, UsageError
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.path_text import Paths, common_base, from_text, path_list, relative_to, to_text
from imgcluster.images.arrays import is_own_png, merge_chrominance, to_pixels, write_png
from imgcluster.images.find import Finder
from imgcluster.images.found import FoundFile, UnreadablePath
from imgcluster.images.load import Loaded, Skipped
from imgcluster.images.readers import ReaderSettings, read_each
from imgcluster.images.types import InputSpec
from imgcluster.machine import processors
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Pixels, Values
from imgcluster.workspace.folder import is_workspace
from imgcluster.workspace.table_columns import SKIPPED

__all__ = ["COLUMNS", "ReconstructSummary", "reconstruct"]

COLUMNS: Final = ("rank", "path", "mse", "psnr")
"""The columns of ``reconstruction.csv``; the image with the largest error comes first."""

_LOG = logging.getLogger(__name__)

_RANKING: Final = "reconstruction.csv"
_SKIPPED: Final = "skipped.csv"
_BATCH: Final = 32
_PSNR_LIMIT: Final = 1e-10  # a perfect copy has 100 dB instead of infinity


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructSummary:
    """The result of `reconstruct`.

    Attributes:
        encoder: Name of the encoder.
        device: The device it ran on.
        output: The folder with ``reconstruction.csv``, ``skipped.csv`` and ``pairs/``.
        denoised: The folder with the reconstructions alone; None if it was not requested.
        images: Number of reconstructed images.
        skipped: Number of images that could not be read; ``skipped.csv`` has the reasons.
        mean_mse: Mean over images of the mean squared error of values in [0, 1].
        worst: The image with the largest error, the likeliest outlier.
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
    paths: Paths,
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

    In `output`, ``pairs/PATH.png`` shows each original beside its reconstruction, both in the encoder's input size, and
    ``reconstruction.csv`` ranks the images by error: images unlike the training data have large errors. For a decoder
    that adds color, the original is shown in color although the encoder sees it in gray.

    Args:
        paths: A folder or file, or several. Folders are searched recursively, in sorted order, without workspaces.
        encoder: The name of an encoder with a decoder, or its ``.onnx`` file.
        output: The folder to write to; created if it does not exist.
        denoised: Another folder, for the reconstructions alone as ``PATH.png``.
        device: ``auto``, ``cpu``, ``cuda``, …; see `device_names.DEVICES`.
        workers: Number of reading processes; by default the number of processors.
        exclude: Patterns of a ``.gitignore`` file; see `Finder`.
        recursive: Whether subfolders are searched.
        on_progress: Called after each batch.

    Raises:
        UsageError: A path does not exist, or a file that imgcluster did not write, or one of the images, would be
            replaced, or two results have the same path.
        NoImagesError: `paths` contain no readable image.
        EncoderError: The encoder cannot be used, or has no decoder.
        DeviceError: The named device does not run here.
    """
    watch = Stopwatch()
    model = PixelEncoder(encoder, device=device)
    decoder = Decoder(model)
    found = _find(Finder(paths=path_list(paths), exclude=exclude, recursive=recursive, skips=is_workspace))
    base = common_base(sorted({item.root for item in found}))
    folder, clean = Path(output), None if denoised is None else Path(denoised)
    found = _without_results(found, base, folder, clean)
    _check_outputs(found, base, folder, clean)
    _warn_of_results_among_images(path_list(paths), folder, clean)

    rows: list[tuple[float, str]] = []
    skipped = [(relative_to(item.location, base), item.reason) for item in found if isinstance(item, UnreadablePath)]
    files = [item for item in found if isinstance(item, FoundFile)]
    for done, batch in _batches(files, _original_spec(model, decoder), workers or processors(), skipped, base):
        images = np.stack([pixels for _, pixels in batch])
        reconstructed = _reconstruct(model, decoder, images)
        errors = np.square(reconstructed - images.astype(np.float32) / 255.0).mean(axis=(1, 2, 3))
        pixels = to_pixels(reconstructed)
        for number, (file, original) in enumerate(batch):
            path = relative_to(file.location, base)
            write_png(_file(folder / "pairs", path), np.concatenate([original, pixels[number]], axis=1))
            if clean is not None:
                write_png(_file(clean, path), pixels[number])
            rows.append((float(errors[number]), path))
        on_progress(Progress("reconstruct", done, len(files)))
    if not rows:
        raise NoImagesError("no readable image was found; give folders with images, or image files")
    rows.sort(key=lambda row: (-row[0], row[1]))
    ranked = enumerate(rows, start=1)
    cells = ((rank, path, f"{error:.6f}", f"{_psnr(error):.2f}") for rank, (error, path) in ranked)
    write_table(folder / _RANKING, COLUMNS, cells)
    write_table(folder / _SKIPPED, SKIPPED, skipped)
    return ReconstructSummary(
        encoder=model.info.name,
        device=model.device,
        output=to_text(folder),
        denoised=None if clean is None else to_text(clean),
        images=len(rows),
        skipped=len(skipped),
        mean_mse=sum(error for error, _ in rows) / len(rows),
        worst=rows[0][1],
        seconds=watch.seconds,
    )


def _original_spec(model: PixelEncoder, decoder: Decoder) -> InputSpec:
    """Return the encoder's input, but in color if the decoder adds color to gray images."""
    spec = model.info.input_spec
    return spec if decoder.shape[2] == spec.channels else replace(spec, channels=3)


def _batches(
    files: Sequence[FoundFile], spec: InputSpec, workers: int, skipped: list[tuple[str, str]], base: str
) -> Iterator[tuple[int, list[tuple[FoundFile, Pixels]]]]:
    """Read the files, and yield batches of images, each with the number of files that were read; add to `skipped`."""
    batch: list[tuple[FoundFile, Pixels]] = []
    with closing(read_each(files, spec, ReaderSettings(workers=workers))) as contents:
        for done, (file, content) in enumerate(zip(files, contents, strict=True), start=1):
            if isinstance(content, Loaded):
                batch.append((file, content.image.pixels))
            elif isinstance(content, Skipped):
                skipped.append((relative_to(file.location, base), content.reason))
            if len(batch) == _BATCH:
                yield done, batch
                batch = []
    if batch:
        yield len(files), batch


def _find(finder: Finder) -> list[FoundFile | UnreadablePath]:
    return [entry for entry in finder.find() if isinstance(entry, FoundFile) or entry.is_image]


def _reconstruct(model: PixelEncoder, decoder: Decoder, images: Pixels) -> Values:
    inputs = images
    if images.shape[3] != model.info.channels:
        inputs = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])[..., np.newaxis]
    decoded = decoder.decode(model.encode(inputs))
    if decoder.info.content == "chrominance":
        return merge_chrominance(inputs.astype(np.float32) / 255.0, decoded)
    return decoded


def _file(folder: Path, path: str) -> Path:
    """Return the file of an image's reconstruction."""
    # Paths that start with a root or a drive must stay inside the folder.
    parts = [part.replace(":", "_") for part in path.split("/") if part not in ("", "..")]
    return folder / from_text("/".join(parts) + ".png")


def _results(
    found: Sequence[FoundFile | UnreadablePath], base: str, folder: Path, clean: Path | None
) -> tuple[list[Path], list[Path]]:
    """Return the pictures in `folder` and in `clean` that will be written, each in the order of the images."""
    names = [relative_to(item.location, base) for item in found if isinstance(item, FoundFile)]
    return [_file(folder / "pairs", name) for name in names], [_file(clean, name) for name in names] if clean else []


def _without_results(
    found: Sequence[FoundFile | UnreadablePath], base: str, folder: Path, clean: Path | None
) -> list[FoundFile | UnreadablePath]:
    """Return what was found without the pictures that the same command wrote before."""
    pairs, alone = _results(found, base, folder, clean)
    results = {os.path.realpath(path) for path in (*pairs, *alone)}

    def is_result(item: FoundFile | UnreadablePath) -> bool:
        path = from_text(item.location)
        return os.path.realpath(path) in results and is_own_png(path)

    return [item for item in found if not is_result(item)]


def _check_outputs(found: Sequence[FoundFile | UnreadablePath], base: str, folder: Path, clean: Path | None) -> None:
    """Check that no image, no file that imgcluster did not write, and no other result would be replaced."""
    originals = {os.path.realpath(from_text(item.location)) for item in found}
    pairs, alone = _results(found, base, folder, clean)
    written = set()
    for file in (*pairs, *alone):
        path = os.path.realpath(file)
        if path in originals:
            raise UsageError(f"{to_text(file)} is one of the images; choose another folder to write to")
        if path in written:
            raise UsageError(f"{to_text(file)} would be written twice; rename an image, or choose another --denoised")
        written.add(path)
    check_replaceable(folder, pairs, {folder / _RANKING: COLUMNS, folder / _SKIPPED: SKIPPED})
    if clean is not None:
        check_replaceable(clean, alone)


def _warn_of_results_among_images(paths: Sequence[str | os.PathLike[str]], *outputs: Path | None) -> None:
    folders = [Path(path).resolve() for path in paths if os.path.isdir(path)]
    for output in filter(None, outputs):
        if any(output.resolve().is_relative_to(folder) for folder in folders):
            _LOG.warning(
                "%s is in a folder of images, so commands that read that folder take what is written there for images; "
                "leave it out with --exclude, or choose a folder elsewhere",
                to_text(output),
            )


def _psnr(error: float) -> float:
    return float(-10 * np.log10(max(error, _PSNR_LIMIT)))
