"""The images of a workspace, as the commands that search them need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imgcluster.commands.support.placed_files import current_files, moved_files, read_placement, read_set_aside
from imgcluster.fileio.path_text import from_text, relative_path
from imgcluster.progress import OnProgress, Progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import base_folder, read_embeddings
from imgcluster.workspace.shards import Embeddings

__all__ = ["FoundImage", "StoredImages", "read_images"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImage:
    """One image that was found.

    Attributes:
        rank: 1 for the most similar image.
        score: The similarity of its vector to that of the text or image, as the command defines it.
        path: As in ``assignments.csv``.
        file: Where the file is now, absolute.
    """

    rank: int
    score: float
    path: str
    file: str


@dataclass(frozen=True, slots=True)
class StoredImages:
    """The images of a workspace.

    Attributes:
        embeddings: As they are stored; many vectors stay in the shards.
        base: The folder that `paths` are relative to.
        paths: As in ``assignments.csv``.
        files: Where the file of each image is now.
        addresses: The same as text, and the URL of an image that is not a file.
        second_files: Where the second file of each image is now; None if it has one file.
        set_aside: The locations of the images that are set aside as duplicates.
    """

    embeddings: Embeddings
    base: str
    paths: list[str]
    files: list[Path]
    addresses: list[str]
    second_files: list[Path | None]
    set_aside: frozenset[str]

    def ranked(self, rows: Sequence[int], scores: npt.NDArray[np.float32]) -> tuple[FoundImage, ...]:
        """Return the images in these rows, from rank 1 on, with their scores among those of all, ``float32 (n,)``."""
        return tuple(
            FoundImage(rank=rank, score=round(float(scores[row]), 4), path=self.paths[row], file=self.addresses[row])
            for rank, row in enumerate(rows, start=1)
        )


def read_images(workspace: Workspace, manifest: dict[str, Any], on_progress: OnProgress) -> StoredImages:
    """Read the images of a locked workspace with this manifest.

    Raises:
        WorkspaceError: Nothing is embedded.
    """
    on_progress(Progress("load", 0))
    embeddings = read_embeddings(workspace, manifest)
    base = base_folder(manifest, embeddings)
    moved = moved_files(workspace, read_placement(workspace, embeddings.files))
    addresses = [moved.get(location, location) for location in embeddings.locations]
    return StoredImages(
        embeddings=embeddings,
        base=base,
        paths=[relative_path(location, base) for location in embeddings.locations],
        files=list(map(from_text, addresses)),
        addresses=addresses,
        second_files=[from_text(moved.get(file, file)) if file else None for file in embeddings.companions],
        set_aside=frozenset(current_files(read_set_aside(workspace, embeddings.files))),
    )
