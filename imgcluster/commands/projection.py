"""The positions of the images on the map: from the workspace, completed for new images, or computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Final

import numpy as np

from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.report.projection import Projection, place_others, project
from imgcluster.workspace.caches import CachedProjection, read_projection, write_projection
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_identity, encoder_metric
from imgcluster.workspace.shards import Embeddings

__all__ = ["begin_projection", "projection_of"]

# Changes with the algorithm, so that positions of an earlier version are not mixed with new ones.
_VERSION: Final = "t-SNE, 3"
# New images are placed in the existing map until they are more than this share of all.
_LARGEST_NEW_SHARE: Final = 1 / 3
# On Windows only a wait with a limit can be interrupted.
_WAIT_SECONDS: Final = 0.2


def projection_of(
    workspace: Workspace,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> Projection:
    """Return the map's projection of normalized embeddings, as `begin_projection` computes it."""
    return begin_projection(workspace, embeddings, manifest, seed, on_progress)()


def begin_projection(
    workspace: Workspace,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> Callable[[], Projection]:
    """Start to compute the map's projection of normalized embeddings; the function returned waits for it.

    Images that have a position in the workspace keep it, and new ones are placed beside their nearest neighbors. If
    more than a third of all are new, the whole map is computed again. Until it is there, nothing else may limit the
    threads of numeric libraries, which is a setting of the process (`features.threads`).
    """
    key = f"{_VERSION}, {encoder_identity(workspace, manifest)}, {encoder_metric(manifest)}, seed {seed}"
    digests = tuple(embeddings.digests)
    stored = read_projection(workspace.layout, key)
    if stored is not None and stored.digests == digests:
        known = Projection(stored.points, stored.method)
        return lambda: known
    on_progress(Progress("layout", 0))

    def compute() -> Projection:
        completed = _completed(stored, embeddings, digests, seed)
        return completed or project(embeddings.vectors, embeddings.content_order, seed=seed)

    pool = ThreadPoolExecutor(1, "imgcluster-map")
    future = pool.submit(compute)
    # After an interruption nobody waits for the thread, which writes nothing.
    pool.shutdown(wait=False)

    def finish() -> Projection:
        while wait([future], _WAIT_SECONDS).not_done:
            pass
        projection = future.result()
        write_projection(workspace.layout, key, CachedProjection(digests, projection.points, projection.method))
        return projection

    return finish


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
