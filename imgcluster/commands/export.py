"""`export`: paths, vectors and clusters in the formats of other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgcluster.commands.embed import refuse_own_output
from imgcluster.commands.support.export_formats import FORMATS, Exported
from imgcluster.commands.support.export_store import copy_into_store, require_placed
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.placed_files import current_locations, current_paths, read_placement
from imgcluster.commands.support.projection import projection_of
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.errors import UsageError
from imgcluster.features.blocks import blocks
from imgcluster.fileio.atomic import temporary_path
from imgcluster.fileio.object_store import store_url
from imgcluster.fileio.path_text import from_text, relative_path, to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import VectorRows, Vectors
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import Results, base_folder, encoder_identity, read_results, results_or_none
from imgcluster.workspace.shards import Embeddings, load

__all__ = ["ExportSummary", "export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSummary:
    """What `export` wrote.

    Attributes:
        workspace: The workspace folder.
        format: The format.
        output: The file or folder.
        images: The number of images in the workspace.
        missing: Images whose file is gone; ``imagefolder`` leaves them out.
        clusters: The number of clusters; 0 where nothing is clustered.
    """

    workspace: str
    format: str
    output: str
    images: int
    missing: int
    clusters: int


@in_object_storage_too
def export(
    output: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the name of the option
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    on_progress: OnProgress = ignore_progress,
) -> ExportSummary:
    """Write paths, vectors, clusters, names and confidence for another program.

    Args:
        output: The file or folder to write, which must not exist; ``npy`` also writes a CSV file beside it. With
            ``s3://bucket/path`` or ``gs://bucket/path`` the images are copied there as ``imagefolder`` does, without
            its table.
        format: ``parquet``, ``npy``, ``csv``, ``fiftyone``, ``embedding-atlas`` or ``imagefolder``; by default that of
            the ending of `output`.
        workspace: The workspace folder. Its images need not be clustered.
        on_progress: Called with each step.

    Raises:
        UsageError: The format is unknown, or `output` exists or is in the workspace.
        WorkspaceError: Nothing is embedded, the last step was interrupted, or another process uses the workspace.
        SourceError: The store cannot be read or written; repeating the call continues.
    """
    if url := store_url(output):
        return _export_into_store(url, format, Workspace(workspace), on_progress)
    target = Path(os.path.abspath(output))
    name = _choose_format(target, format)
    workspace = Workspace(workspace)
    workspace.require_initialized()
    refuse_own_output([to_text(target)], workspace)
    for path in (target, target.with_suffix(".csv")) if name == "npy" else (target,):
        _refuse_existing(path)
    with workspace.locked(read_only=True) as manifest:
        on_progress(Progress("load", 0))
        embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
        results = results_or_none(workspace, manifest, embeddings)
        journal = read_placement(workspace, embeddings.files)
        addresses = current_locations(workspace, embeddings.locations, journal)
        files = list(map(from_text, addresses))
        seed = 0 if results is None else int(results.metrics["options"].get("seed", 0))
        with _all_or_nothing(target) as draft, _array(embeddings.vectors, target.parent) as vectors:
            exported = Exported(
                columns=_columns(base_folder(manifest, embeddings), embeddings, results, addresses),
                vectors=vectors,
                files=files,
                companions=[
                    file if companion else None
                    for file, companion in zip(
                        current_paths(workspace, embeddings.companions, journal), embeddings.companions, strict=True
                    )
                ],
                points=lambda: (
                    projection_of(
                        workspace, with_normalized_lengths(embeddings, manifest), manifest, seed, on_progress
                    ).points
                ),
                on_progress=on_progress,
            )
            if not FORMATS[name].suffix:
                draft.mkdir()
            FORMATS[name].write(exported, draft)
            # Windows removes no file that is mapped.
            del exported, vectors
    return ExportSummary(
        workspace=workspace.name,
        format=name,
        output=to_text(target),
        images=len(files),
        missing=sum(not file.is_file() for file in files),
        clusters=0 if results is None else len(results.table),
    )


def _export_into_store(
    url: str,
    name: str | None,
    workspace: Workspace,
    on_progress: OnProgress,
) -> ExportSummary:
    if name not in (None, "imagefolder"):
        raise UsageError(f"--format {name} cannot be written to {url}, only imagefolder; choose a folder or a file")
    workspace.require_initialized()
    with workspace.locked(read_only=True) as manifest:
        embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
        journal = require_placed(read_placement(workspace, embeddings.files))
        clusters = len(read_results(workspace, manifest).table)
        missing = copy_into_store(journal, url, on_progress)
    return ExportSummary(
        workspace=workspace.name,
        format="imagefolder",
        output=url,
        images=len(embeddings.locations),
        missing=missing,
        clusters=clusters,
    )


def _choose_format(target: Path, name: str | None) -> str:
    if name is None:
        by_suffix = {row.suffix: key for key, row in reversed(FORMATS.items()) if row.suffix}
        name = by_suffix.get(target.suffix.lower())
        if name is None:
            raise UsageError(f"{target} has no known ending; give --format {', '.join(FORMATS)}")
    if name not in FORMATS:
        raise UsageError(f"--format {name} is unknown; choose {', '.join(FORMATS)}")
    suffix = FORMATS[name].suffix
    if suffix and target.suffix.lower() != suffix:
        raise UsageError(f"{target} does not end with {suffix}, as --format {name} does; rename it")
    return name


def _columns(base: str, embeddings: Embeddings, results: Results | None, files: list[str]) -> dict[str, list[Any]]:
    """Return the columns of the table; None stands for what is unknown."""
    count = len(files)
    unknown: list[Any] = [None] * count
    columns: dict[str, list[Any]] = {
        "path": [relative_path(location, base) for location in embeddings.locations],
        "file": files,
        "cluster": unknown,
        "name": [""] * count,
        "confidence": unknown,
        "runner_up": unknown,
        "decision": unknown,
    }
    if results is not None:
        columns |= {
            "cluster": results.clusters.tolist(),
            "name": [results.names.get(number, "") for number in results.clusters.tolist()],
            "confidence": results.confidence.tolist(),
            "decision": [results.decisions.get(path) for path in results.paths],
        }
        if results.runner_ups is not None:
            columns["runner_up"] = [None if number < 0 else number for number in results.runner_ups.tolist()]
    if any(embeddings.companions):
        columns["companion"] = [relative_path(file, base) if file else None for file in embeddings.companions]
    columns["width"] = [width or None for width in embeddings.sizes[:, 0].tolist()]
    columns["height"] = [height or None for height in embeddings.sizes[:, 1].tolist()]
    columns["captured"] = [exif.captured or None for exif in embeddings.exif]
    columns["camera"] = [exif.camera or None for exif in embeddings.exif]
    columns["orientation"] = [exif.orientation or None for exif in embeddings.exif]
    return columns


@contextmanager
def _all_or_nothing(target: Path) -> Iterator[Path]:
    """Yield a path in a temporary folder, from which all files move to the folder of `target` at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_path(target.parent) as folder:
        folder.mkdir()
        yield folder / target.name
        for path in sorted(folder.iterdir()):
            _refuse_existing(target.parent / path.name)
            os.rename(path, target.parent / path.name)


@contextmanager
def _array(vectors: Vectors | VectorRows, folder: Path) -> Iterator[Vectors]:
    """Yield the vectors as an array; those that stay in shards are copied to a temporary file, in their order."""
    if isinstance(vectors, np.ndarray):
        yield vectors
        return
    with temporary_path(folder) as path:
        row_bytes = 4 * vectors.shape[1]
        # Not into the mapped file: on a full disk that would end the process.
        with path.open("wb") as file:
            for rows, block in blocks(vectors):
                for row, vector in zip(rows.tolist(), block, strict=True):
                    file.seek(row * row_bytes)
                    file.write(vector.tobytes())
        yield np.memmap(path, np.float32, "r", shape=vectors.shape)


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise UsageError(f"{path} exists, and nothing is overwritten; choose another path, or remove it first")
