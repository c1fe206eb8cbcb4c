"""The positions of the images on the map: from the workspace, completed for new images, or computed."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.report.projection import Projection, place_others, project
from imgcluster.workspace.caches import CachedProjection, read_projection, write_projection
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_identity, encoder_metric
from imgcluster.workspace.shards import Embeddings

__all__ = ["projection_of"]

# Changes with the algorithm, so that positions of an earlier version are not mixed with new ones.
_VERSION: Final = "t-SNE, 2"
# New images are placed in the existing map until they are more than this share of all.
_LARGEST_NEW_SHARE: Final = 1 / 3


def projection_of(
    workspace: Workspace,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> Projection:
    """Return the map's projection of normalized embeddings.

    Images that have a position in the workspace keep it, and new ones are placed beside their nearest neighbors. If
    more than a third of all are new, the whole map is computed again.
    """
    key = f"{_VERSION}, {encoder_identity(workspace, manifest)}, {encoder_metric(manifest)}, seed {seed}"
    digests = tuple(embeddings.digests)
    stored = read_projection(workspace.layout, key)
    if stored is not None and stored.digests == digests:
        return Projection(stored.points, stored.method)
    on_progress(Progress("layout", 0))
    projection = _completed(stored, embeddings, digests, seed)
    if projection is None:
        projection = project(embeddings.vectors, embeddings.content_order, seed=seed)
    write_projection(workspace.layout, key, CachedProjection(digests, projection.points, projection.method))
    return projection


def _completed(
    stored: CachedProjection | None, embeddings: Embeddings, digests: tuple[bytes, ...], seed: int
) -> Projection | None:
    """Return the stored projection with new images placed in it; None if too many are new."""
    if stored is None:
        return None
    rows = {digest: row for row, digest in enumerate(stored.digests)}
    found = np.array([rows.get(digest, -1) for digest in digests], dtype=np.int64)
    placed = np.flatnonzero(found >= 0)
    if len(placed) < (1 - _LARGEST_NEW_SHARE) * len(digests):
        return None
    points = place_others(embeddings.vectors, placed, stored.points[found[placed]], seed=seed)
    return Projection(points, stored.method)
