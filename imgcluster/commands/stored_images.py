"""The images of a workspace, as the commands that search them need them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcluster.commands.page import current_paths
from imgcluster.commands.replace_results import read_placement
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.path_text import common_base, relative_path
from imgcluster.progress import OnProgress, Progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_identity
from imgcluster.workspace.shards import Embeddings, load

__all__ = ["StoredImages", "read_images"]


@dataclass(frozen=True, slots=True)
class StoredImages:
    """The images of a workspace.

    Attributes:
        embeddings: As they are stored.
        base: The folder that `paths` are relative to.
        paths: As in ``assignments.csv``.
        files: Where the file of each image is now.
    """

    embeddings: Embeddings
    base: str
    paths: list[str]
    files: list[Path]


def read_images(workspace: Workspace, manifest: dict[str, Any], on_progress: OnProgress) -> StoredImages:
    """Read the images of a locked workspace with this manifest.

    Raises:
        WorkspaceError: Nothing is embedded.
    """
    identity = encoder_identity(workspace, manifest)
    on_progress(Progress("load", 0))
    embeddings = load(workspace.embeddings, identity)
    if not embeddings.locations:
        raise WorkspaceError(f"{workspace.path} holds no embeddings yet: run imgcluster embed PATH first")
    base = str(manifest["base"]) if "base" in manifest else common_base(list(embeddings.roots))
    return StoredImages(
        embeddings=embeddings,
        base=base,
        paths=[relative_path(location, base) for location in embeddings.locations],
        files=current_paths(embeddings.locations, read_placement(workspace, embeddings.files)),
    )
