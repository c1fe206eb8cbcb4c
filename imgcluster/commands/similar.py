"""`similar`: the images of a workspace that resemble others, which may be inside or outside of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.commands.encode import Encoder, pixels_of
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.stored_images import FoundImage, StoredImages, read_images
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.commands.support.thumbnails import read_tiles
from imgcluster.commands.support.workspace_encoder import has_known_encoder, recorded_options
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.features.blocks import of_all
from imgcluster.features.normalize import normalize_lengths
from imgcluster.fileio.atomic import write_text
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import Paths, path_list, to_text
from imgcluster.images.found import found_file
from imgcluster.images.readers import read_each
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.report.contact_sheet import Picture, is_replaceable, render_sheet
from imgcluster.types import Metric, Vectors
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import IMPORTED, encoder_metric

__all__ = ["SimilarImages", "SimilarSummary", "similar"]

_TILE: Final = 160
# The vectors are read once for so many images.
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarImages:
    """The images that resemble one image.

    Attributes:
        image: The image, as in ``assignments.csv`` if it is in the workspace, else absolute.
        stored: Whether it is in the workspace; it is then not among its own results.
        results: The most similar images. The score is the cosine of the vectors or, with the metric ``euclidean``,
            1 / (1 + distance).
    """

    image: str
    stored: bool
    results: tuple[FoundImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarSummary:
    """The result of `similar`.

    Attributes:
        workspace: The workspace folder.
        encoder: The encoder of its images.
        metric: How vectors are compared.
        images: Images in the workspace.
        base: The folder that the paths are relative to.
        queries: The requested images, each with the images that resemble it.
        page: The HTML page; empty if none was requested.
    """

    workspace: str
    encoder: str
    metric: str
    images: int
    base: str
    queries: tuple[SimilarImages, ...]
    page: str


@in_object_storage_too
def similar(
    images: Paths,
    *,
    limit: int = 20,
    threshold: float | None = None,
    page: str | os.PathLike[str] | None = None,
    encoder: str | os.PathLike[str] | None = None,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    device: str = "auto",
    on_progress: OnProgress = ignore_progress,
) -> SimilarSummary:
    """Return the images of a workspace that resemble one image, or each of several, the most similar first.

    Images outside the workspace are embedded with its encoder; nothing is stored.

    Args:
        images: Paths of files, or as in ``assignments.csv``.
        limit: The number of images to return for each.
        threshold: The least score of these images; none by default.
        page: An HTML file to write, which shows them.
        encoder: The encoder of the workspace, needed for images outside of it if it is a file of your own.
        workspace: The workspace folder.
        device: Where the encoder runs: ``auto`` or a device.
        on_progress: Called with each step.

    Raises:
        UsageError: There is no such image, the limit is less than 1, vectors were imported and an image is outside, or
            `page` is another file.
        NoImagesError: An image cannot be read.
        WorkspaceError: Nothing is embedded, the encoder is another one, or another process uses the workspace.
        EncoderError: The encoder cannot be used.
    """
    requested = path_list(images)
    if not requested:
        raise UsageError("no image is given; name at least one")
    if limit < 1:
        raise UsageError(f"--limit {limit} is not allowed; it is at least 1")
    if threshold is not None and not -1 <= threshold <= 1:
        raise UsageError(f"--threshold {threshold} is not allowed; scores are from -1 to 1")
    if page is not None and not is_replaceable(Path(page)):
        raise UsageError(f"--page {to_text(page)} exists and is not a page of similar images; choose another name")
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked(read_only=True) as manifest:
        stored = read_images(workspace, manifest, on_progress)
        rows = _find_rows(stored, requested)
        outside = [image for image, row in zip(requested, rows, strict=True) if row is None]
        new = _embed(workspace, manifest, outside, encoder, device, on_progress)
        metric = encoder_metric(manifest)
        vectors = with_normalized_lengths(stored.embeddings, manifest, in_place=True).vectors
        given = iter(normalize_lengths(new, metric))
        own = iter(vectors[np.array([row for row in rows if row is not None], np.int64)])
        targets = [next(given if row is None else own) for row in rows]
        found: list[SimilarImages] = []
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            scores = of_all(vectors, partial(_scores, targets=np.stack(targets[part]), metric=metric), len(rows[part]))
            found += [
                _similar(stored, image, row, scores[:, column], limit, threshold)
                for column, (image, row) in enumerate(zip(requested[part], rows[part], strict=True))
            ]
        queries = tuple(found)
    if page is not None:
        _write_page(Path(page), stored, queries)
    return SimilarSummary(
        workspace=workspace.name,
        encoder=str(manifest["encoder"]["name"]),
        metric=metric,
        images=len(stored.paths),
        base=stored.base,
        queries=queries,
        page="" if page is None else to_text(os.path.abspath(page)),
    )


def _find_rows(stored: StoredImages, requested: Sequence[str | os.PathLike[str]]) -> list[int | None]:
    """Return the row of each image in the workspace; None for other files.

    Raises:
        UsageError: There is no such file.
    """
    by_location = {location: row for row, location in enumerate(stored.embeddings.locations)}
    by_file = {file: row for row, file in enumerate(stored.addresses)}
    by_path = {path: row for row, path in enumerate(stored.paths)}
    rows = []
    for image in requested:
        # A link, or a path through one, leads to the image.
        paths = [url] if (url := url_of(image)) else [to_text(os.path.abspath(image)), to_text(os.path.realpath(image))]
        row = next((rows_of[path] for rows_of in (by_location, by_file) for path in paths if path in rows_of), None)
        if row is None and not os.path.isfile(image):
            row = by_path.get(to_text(image))
            if row is None:
                raise UsageError(f"{to_text(image)} is neither a file nor an image of the workspace; check the path")
        rows.append(row)
    return rows


def _embed(
    workspace: Workspace,
    manifest: dict[str, Any],
    images: Sequence[str | os.PathLike[str]],
    encoder: str | os.PathLike[str] | None,
    device: str,
    on_progress: OnProgress,
) -> Vectors:
    """Return the vectors of images outside the workspace."""
    record = manifest["encoder"]
    if not images:
        return np.empty((0, int(record["embedding_size"])), np.float32)
    name = str(record["name"])
    if name == IMPORTED:
        raise UsageError(
            f"{to_text(images[0])} is not in the workspace, whose vectors were imported; name one of its own images"
        )
    if encoder is None and not has_known_encoder(manifest):
        raise UsageError(
            f"{to_text(images[0])} is not in the workspace; to embed it, name the workspace's encoder {name!r} with "
            "--encoder"
        )
    on_progress(Progress("embed", 0, len(images)))
    model = Encoder(
        name if encoder is None else encoder,
        device=device,
        precision=str(record.get("precision") or "auto"),
        options=recorded_options(workspace, manifest),
        # What a workspace names was not requested by the user.
        install=encoder is not None,
        on_progress=on_progress,
    )
    if model.identity != record.get("identity"):
        raise WorkspaceError(
            f"{workspace.path} was made with encoder {name!r} in another version or with other weights than "
            f"{model.info.name!r} here, so their vectors cannot be compared: embed with --fresh, or name the encoder "
            "with --encoder"
        )
    # An error keeps the generator, and with it the processes, as long as it is not handled.
    with closing(read_each(map(found_file, images), model.info.input_spec)) as contents:
        return model.encode(pixels_of(content, image) for image, content in zip(images, contents, strict=True))


def _scores(vectors: Vectors, targets: Vectors, metric: Metric) -> Vectors:
    """Return how much each vector resembles each of m targets, ``float32 (n, m)``."""
    if metric == "cosine":
        # Without rounding, cosines of equal vectors differ in the last digit.
        return np.asarray(np.round(vectors @ targets.T, 6))
    return np.stack([1 / (1 + np.linalg.norm(vectors - target, axis=1)) for target in targets], axis=1)


def _similar(
    stored: StoredImages,
    image: str | os.PathLike[str],
    row: int | None,
    scores: npt.NDArray[np.float32],
    limit: int,
    threshold: float | None,
) -> SimilarImages:
    # Equal scores in the order of the paths.
    ranked = np.argsort(-scores, kind="stable")
    order = (ranked if row is None else ranked[ranked != row])[:limit].tolist()
    if threshold is not None:
        # As they are printed, so that the printed score of a result can be given.
        order = [other for other in order if round(float(scores[other]), 4) >= threshold]
    return SimilarImages(
        image=to_text(os.path.abspath(image)) if row is None else stored.paths[row],
        stored=row is not None,
        results=stored.ranked(order, scores),
    )


def _write_page(page: Path, stored: StoredImages, queries: Sequence[SimilarImages]) -> None:
    files = dict(zip(stored.paths, stored.files, strict=True))
    rows = []
    for query in queries:
        shown = [(query.image, files[query.image] if query.stored else Path(query.image), "")]
        shown += [(result.path, Path(result.file), f"{result.score:.3f}") for result in query.results]
        tiles = read_tiles([file for _, file, _ in shown], _TILE)
        rows.append([Picture(tile, title, score) for tile, (title, _, score) in zip(tiles, shown, strict=True)])
    write_text(page, render_sheet("Similar images", rows))
