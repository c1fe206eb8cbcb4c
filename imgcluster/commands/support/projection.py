"""The positions of the images on the map: from the workspace, completed for new images, or computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import Thread
from typing import Any, Final, TypeVar

import numpy as np

from imgcluster.features.normalize import normalize_lengths
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.report.projection import (
    ProjectedSample,
    Projection,
    complete_projection,
    place_others,
    project_sample,
    rows_of_sample,
)
from imgcluster.workspace.caches import CachedProjection, read_projection, write_projection
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import encoder_identity, encoder_metric
from imgcluster.workspace.shards import Embeddings

__all__ = ["StartedProjection", "begin_projection", "finish_projection", "projection_of"]

_Result = TypeVar("_Result")

# Changes with the algorithm, so that positions of an earlier version are not mixed with new ones.
_VERSION: Final = "t-SNE, 3"
# New images are placed in the existing map until they are more than this share of all.
_LARGEST_NEW_SHARE: Final = 1 / 3
# On Windows only a wait with a limit can be interrupted.
_WAIT_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class StartedProjection:
    """What a projection is completed from.

    Attributes:
        stored: The projection in the workspace, if enough images have a position in it.
        sample: Otherwise a function that waits for that of a sample.
    """

    stored: CachedProjection | None
    sample: Callable[[], ProjectedSample] | None = None


def projection_of(
    workspace: Workspace,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> Projection:
    """Return the map's projection of normalized embeddings, from the workspace or computed."""
    return finish_projection(workspace, embeddings, manifest, seed, on_progress=on_progress)()


def begin_projection(
    workspace: Workspace, embeddings: Embeddings, manifest: dict[str, Any], seed: int
) -> StartedProjection:
    """Start to project a sample of embeddings, as they are stored, unless the workspace has their positions.

    This takes most of the time, and needs no clusters.
    """
    stored = _stored(workspace, embeddings, manifest, seed)
    if stored is not None:
        return StartedProjection(stored)
    # A copy: the others may be overwritten meanwhile.
    rows = rows_of_sample(embeddings.content_order)
    vectors = normalize_lengths(embeddings.vectors[rows], encoder_metric(manifest), in_place=True)
    return StartedProjection(None, _in_background(lambda: project_sample(rows, vectors, seed=seed)))


def finish_projection(
    workspace: Workspace,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    seed: int,
    started: StartedProjection | None = None,
    on_progress: OnProgress = ignore_progress,
    *,
    read_only: bool = False,
) -> Callable[[], Projection]:
    """Complete the projection of normalized embeddings in the background; the function returned waits for it.

    Images that have a position in the workspace keep it, and new ones are placed beside their nearest neighbors. If
    more than a third of all are new, the whole map is computed again.

    Args:
        workspace: Where the projection is stored.
        embeddings: Those of `with_normalized_lengths`.
        manifest: That of the workspace.
        seed: For samples and principal components.
        started: What `begin_projection` returned for the same embeddings; None to begin now.
        on_progress: Called if there is anything to compute.
        read_only: Whether nothing may be stored in the workspace.
    """
    digests = tuple(embeddings.digests)
    started = started or StartedProjection(_stored(workspace, embeddings, manifest, seed))
    stored, sample = started.stored, started.sample
    if stored is not None and stored.digests == digests:
        known = Projection(stored.points, stored.method)
        return lambda: known
    on_progress(Progress("layout", 0))

    def compute() -> Projection:
        if stored is not None:
            return _completed(stored, embeddings, seed)
        rows = rows_of_sample(embeddings.content_order)
        projected = sample() if sample else project_sample(rows, embeddings.vectors[rows], seed=seed)
        return complete_projection(embeddings.vectors, projected, seed=seed)

    computed = _in_background(compute)

    def finish() -> Projection:
        projection = computed()
        key = _key(workspace, manifest, seed)
        if not read_only:
            write_projection(workspace.layout, key, CachedProjection(digests, projection.points, projection.method))
        return projection

    return finish


def _in_background(function: Callable[[], _Result]) -> Callable[[], _Result]:
    """Call a function in a thread; the function returned waits for its result."""
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    # After an error or an interruption nobody waits for the thread, which writes nothing.
    Thread(target=run, name="imgcluster-map", daemon=True).start()

    def finish() -> _Result:
        while wait([future], _WAIT_SECONDS).not_done:
            pass
        return future.result()

    return finish


def _key(workspace: Workspace, manifest: dict[str, Any], seed: int) -> str:
    return f"{_VERSION}, {encoder_identity(workspace, manifest)}, {encoder_metric(manifest)}, seed {seed}"


def _stored(
    workspace: Workspace, embeddings: Embeddings, manifest: dict[str, Any], seed: int
) -> CachedProjection | None:
    """Return the projection in the workspace; None if too many images have no position in it."""
    stored = read_projection(workspace.layout, _key(workspace, manifest, seed))
    if stored is None or stored.digests == tuple(embeddings.digests):
        return stored
    known = set(stored.digests)
    placed = sum(digest in known for digest in embeddings.digests)
    return stored if placed >= (1 - _LARGEST_NEW_SHARE) * len(embeddings.digests) else None


def _completed(stored: CachedProjection, embeddings: Embeddings, seed: int) -> Projection:
    """Return the stored projection with new images placed in it."""
    rows = {digest: row for row, digest in enumerate(stored.digests)}
    stored_rows = np.array([rows.get(digest, -1) for digest in embeddings.digests], dtype=np.int64)
    placed = np.flatnonzero(stored_rows >= 0)
    points = place_others(embeddings.vectors, placed, stored.points[stored_rows[placed]], seed=seed)
    return Projection(points, stored.method)
