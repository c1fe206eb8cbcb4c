"""`imgcluster.load`: the contents of a workspace as arrays and tables."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.placed_files import moved_files, read_placement
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.features.blocks import in_memory
from imgcluster.fileio.path_text import relative_path
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.types import Vectors
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import base_folder, encoder_identity, results_or_none
from imgcluster.workspace.shards import load as load_embeddings

__all__ = ["Collection", "load"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The images of a workspace. All arrays and lists have one entry per image, in the order of ``assignments.csv``.

    Attributes:
        base: The folder that `paths` are relative to.
        paths: The key of every table: ``path`` in ``assignments.csv`` and in the Parquet files under ``embeddings/``.
        files: The absolute path of each original, as text: where it was found, or where it was moved to.
        vectors: The embeddings, ``float32 (n, embedding_size)``.
        labels: The cluster of each image, ``int64 (n,)``; -1 is noise. None where nothing is clustered yet.
        confidence: ``float64 (n,)`` in [0, 1]; None where nothing is clustered yet.
        captured: When each photograph was taken (ISO 8601, local time); "" if unknown.
        cameras: The camera of each photograph; "" if unknown.
        companions: The absolute path of the second file of each image, as for `files`: a camera raw file and its JPEG
            are one image; "" if there is none.
        orientations: The EXIF orientation, 1 to 8, ``int64 (n,)``; 0 if unknown.
        clusters: The rows of ``clusters.csv``, by column; empty where nothing is clustered yet.
    """

    base: str
    paths: list[str]
    files: list[str]
    vectors: Vectors
    labels: npt.NDArray[np.int64] | None
    confidence: npt.NDArray[np.float64] | None
    captured: list[str]
    cameras: list[str]
    orientations: npt.NDArray[np.int64]
    clusters: list[dict[str, str]]
    companions: list[str]


@in_object_storage_too
def load(workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE) -> Collection:
    """Return the images, vectors and clusters of a workspace.

    Raises:
        WorkspaceError: Nothing is embedded, the clusters are older than the embeddings, the last step was interrupted,
            or a file is damaged.
        PlacementError: The journal of moved files is damaged.
    """
    workspace = Workspace(workspace)
    workspace.require_initialized()
    manifest = workspace.manifest
    embeddings = load_embeddings(workspace.embeddings, encoder_identity(workspace, manifest))
    base = base_folder(manifest, embeddings)
    results = results_or_none(workspace, manifest, embeddings)
    moved = moved_files(workspace, read_placement(workspace, embeddings.files))
    return Collection(
        base=base,
        paths=[relative_path(location, base) for location in embeddings.locations],
        files=[moved.get(file, file) for file in embeddings.locations],
        vectors=in_memory(embeddings.vectors),
        captured=[exif.captured for exif in embeddings.exif],
        cameras=[exif.camera for exif in embeddings.exif],
        orientations=np.array([exif.orientation for exif in embeddings.exif], dtype=np.int64),
        labels=None if results is None else results.clusters,
        confidence=None if results is None else results.confidence,
        clusters=[] if results is None else results.table,
        companions=[moved.get(file, file) for file in embeddings.companions],
    )
