"""`assign`: images embedded since the last clustering into its clusters."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering import Settings
from imgcluster.clustering.assign import assign_new, similar_unsorted
from imgcluster.clustering.run import cluster_embeddings
from imgcluster.commands.cluster import ClusterSummary
from imgcluster.commands.cluster_warnings import quality
from imgcluster.commands.last_clustering import folder_names, keep_last_clustering, read_last_clustering
from imgcluster.commands.page import with_normalized_lengths
from imgcluster.commands.publish import ClusteringMetrics, Evaluated, publish, summary_fields
from imgcluster.commands.replace_results import read_placement, require_not_moved
from imgcluster.commands.stopwatch import Stopwatch
from imgcluster.errors import WorkspaceError
from imgcluster.evaluation.internal import measure
from imgcluster.features.normalize import normalize_features
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Clustering, Layer, Vectors
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.result_tables import ClusteringTables, rounded
from imgcluster.workspace.results import HIGHEST_CLUSTER, Results, encoder_identity, encoder_metric, with_options
from imgcluster.workspace.shards import Embeddings, load
from imgcluster.workspace.table_columns import row_of

__all__ = ["AssignSummary", "assign"]

# Fewer similar images are not offered as clusters.
_SMALLEST_GROUP: Final = 5
# From these shares on, a new clustering is recommended.
_MANY_ASSIGNED: Final = 0.5
_MANY_UNSORTED: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignSummary(ClusterSummary):
    """What `assign` did; the other fields are those of the clustering as it is now.

    Attributes:
        assigned: New images that were put into clusters.
        unsorted: New images that are unlike all clusters.
        similar_unsorted: Images in no cluster that are similar to each other.
        new_clusters: The numbers of the clusters that were created.
        removed: Images of the clustering that are no longer embedded.
    """

    assigned: int
    unsorted: int
    similar_unsorted: int
    new_clusters: tuple[int, ...]
    removed: int


def assign(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    new_clusters: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> AssignSummary:
    """Put images that were embedded since the last clustering into its clusters.

    All other images keep their cluster, and clusters keep their number, name and folder. Images that are unlike all
    clusters are in none (−1, folder ``unsorted``). Where nothing is new, nothing is written.

    Args:
        workspace: The workspace folder.
        new_clusters: Create clusters of images in no cluster that are similar to each other.
        dry_run: Only report what would be written.
        on_progress: Called with each step.

    Raises:
        WorkspaceError: Nothing is clustered yet, another process works here, or the originals were moved.
        PlacementError: A file could not be placed.
    """
    watch = Stopwatch()
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked(dry_run=dry_run) as manifest:
        on_progress(Progress("load", 0))
        embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
        journal = read_placement(workspace, frozenset(embeddings.locations))
        last = read_last_clustering(workspace)
        current = last.metrics.get("fingerprint") == embeddings.fingerprint and workspace.metrics.exists()
        if current and not (new_clusters and (last.clusters < 0).any()):
            return _summary(workspace, last, watch, dry_run=dry_run)
        journal, note = require_not_moved(workspace, journal, dry_run=dry_run)
        if not embeddings.locations:
            raise WorkspaceError(f"{workspace.path} holds no images any more: run imgcluster embed PATH first")
        manifest = with_options(manifest, last.metrics["options"])
        watch.lap("load")

        on_progress(Progress("cluster", 0))
        vectors = normalize_features(embeddings.vectors, encoder_metric(manifest))
        grown = _grow(last, embeddings, vectors, new_clusters=new_clusters)
        watch.lap("cluster")

        on_progress(Progress("measure", 0))
        found = _evaluate(workspace, manifest, embeddings, last, grown, note)
        watch.lap("measure")
        if dry_run:
            placed = found.preview()
        else:
            keep_last_clustering(workspace)
            placed = publish(workspace, found, journal, watch, on_progress)
    return AssignSummary(
        **summary_fields(workspace, found, placed, watch, dry_run=dry_run),
        assigned=int((grown.layer.labels[grown.new] >= 0).sum()),
        unsorted=int((grown.layer.labels[grown.new] < 0).sum()),
        similar_unsorted=grown.similar,
        new_clusters=grown.created,
        removed=len(last.locations) - int((~grown.new).sum()),
    )


@dataclass(frozen=True, slots=True)
class _Grown:
    """The last clustering with new images.

    Attributes:
        layer: Of all images.
        new: Which images are new, ``bool (n,)``.
        stability: Of each cluster by its number; None where it is unknown.
        created: The numbers of the clusters that were created.
        similar: The number of images in no cluster that are similar to each other.
    """

    layer: Layer
    new: npt.NDArray[np.bool_]
    stability: tuple[float | None, ...]
    created: tuple[int, ...]
    similar: int


def _grow(last: Results, embeddings: Embeddings, vectors: Vectors, *, new_clusters: bool) -> _Grown:
    """Assign new images, and create clusters if requested; `vectors` are the normalized features."""
    earlier = {location: row for row, location in enumerate(last.locations)}
    rows = np.array([earlier.get(location, -1) for location in embeddings.locations], dtype=np.int64)
    new, kept = rows < 0, rows[rows >= 0]
    labels = np.full(len(rows), -1, dtype=np.int64)
    confidence = np.zeros(len(rows), dtype=np.float32)
    runner_up = np.full(len(rows), -1, dtype=np.int64)
    labels[~new], confidence[~new] = last.clusters[kept], last.confidence[kept]
    if last.runner_ups is not None:
        runner_up[~new] = last.runner_ups[kept]

    stability = _stability(last)
    order = embeddings.content_order
    added = assign_new(vectors, labels, new, stability, order=order)
    labels[new], confidence[new], runner_up[new] = added.labels, added.confidence, added.runner_up
    similar = similar_unsorted(vectors, labels, order=order)
    similar = similar[~_decided_unsorted(last, embeddings)[similar]]
    created: tuple[int, ...] = ()
    if new_clusters and len(similar) >= _SMALLEST_GROUP:
        groups, values = _groups(vectors[similar])
        labels[similar] = len(stability) + groups.labels
        confidence[similar] = groups.confidence
        runner_up[similar] = np.where(groups.runner_up < 0, -1, len(stability) + groups.runner_up)
        created = tuple(range(len(stability), len(stability) + groups.count))
        stability, similar = (*stability, *values), similar[:0]
    return _Grown(Layer(labels, confidence, runner_up), new, stability, created, len(similar))


def _decided_unsorted(last: Results, embeddings: Embeddings) -> npt.NDArray[np.bool_]:
    """Return which images the user put into no cluster, ``bool (n,)``; they stay there."""
    decided = {
        location
        for path, location in zip(last.paths, last.locations, strict=True)
        if last.decisions.get(path) == "unsorted"
    }
    return np.array([location in decided for location in embeddings.locations], dtype=bool)


def _stability(last: Results) -> tuple[float | None, ...]:
    """Return the stability of each cluster up to the highest number, also of numbers that are no longer in use."""
    texts = {number: row.get("stability", "") for number, row in last.rows.items()}
    highest = max(*texts, int(last.metrics.get(HIGHEST_CLUSTER, -1)), -1)
    return tuple(float(text) if (text := texts.get(number)) else None for number in range(highest + 1))


def _groups(vectors: Vectors) -> tuple[Layer, tuple[float | None, ...]]:
    """Cluster images that are similar to each other."""
    settings = Settings.of(None, min_cluster_size=None, seed=0)
    result = cluster_embeddings(
        vectors, "euclidean", method="kmeans", reduction="graph", settings=settings, assign=False
    )
    chosen = result.clustering.chosen
    return result.clustering.layers[chosen], result.stability[chosen]


def _evaluate(
    workspace: Workspace,
    manifest: dict[str, Any],
    embeddings: Embeddings,
    last: Results,
    grown: _Grown,
    note: str,
) -> Evaluated:
    """Measure the clusters; the vectors of `embeddings` are normalized in place."""
    embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    layer, images = grown.layer, len(grown.layer.labels)
    noise = int((layer.labels < 0).sum())
    measures = measure(embeddings.vectors, layer.labels, encoder_metric(manifest), order=embeddings.content_order)
    present = [facts.cluster for facts in measures.clusters]
    assigned = int(last.metrics.get("assigned", 0)) + int(grown.new.sum())
    facts = ClusteringMetrics(
        method=str(last.metrics["method"]),
        reduction=str(last.metrics["reduction"]),
        parameters=dict(last.metrics["parameters"]),
        images=images,
        layers=(len(present),),
        layer=0,
        noise=noise,
        silhouette=rounded(measures.silhouette),
        quality=quality({number: grown.stability[number] for number in present}, images, noise),
    )
    tables = ClusteringTables(
        workspace,
        manifest,
        embeddings,
        Clustering((layer,), 0, facts.parameters),
        measures,
        grown.stability,
        names={number: name for number, name in last.names.items() if number in present},
        decisions=last.decisions,
        suggested_names={number: row.get("suggested_name", "") for number, row in last.rows.items()},
    )
    growth = {"assigned": assigned, HIGHEST_CLUSTER: len(grown.stability) - 1}
    return Evaluated(
        options=last.metrics["options"],
        mode=last.metrics["options"].get("place", "symlink"),
        manifest=manifest,
        tables=tables,
        facts=facts,
        silhouette_sample=measures.silhouette_sample,
        notes=(*filter(None, [note]), *_advice(grown, assigned, workspace)),
        folder_name=folder_names(last.metrics | growth),
        growth=growth,
    )


def _advice(grown: _Grown, assigned: int, workspace: Workspace) -> Iterator[str]:
    images, new = len(grown.new), int(grown.new.sum())
    unsorted = int((grown.layer.labels[grown.new] < 0).sum())
    if grown.similar >= _SMALLEST_GROUP:
        yield (
            f"{grown.similar:,} images in no cluster are similar to each other. To create clusters for them: "
            f"{workspace.command('assign --new-clusters')}"
        )
    elif assigned > _MANY_ASSIGNED * images or unsorted > max(_MANY_UNSORTED * new, _SMALLEST_GROUP):
        yield (
            f"{assigned:,} of {images:,} images were added since the last clustering, and {unsorted:,} of the latest "
            f"{new:,} are unlike all clusters. A new clustering is advisable: {workspace.command('cluster')}"
        )


def _summary(workspace: Workspace, last: Results, watch: Stopwatch, *, dry_run: bool) -> AssignSummary:
    """Return the summary where nothing is new."""
    metrics = {"quality": ""} | last.metrics | {"layers": tuple(last.metrics["layers"])}
    return AssignSummary(
        **{field.name: metrics[field.name] for field in dataclasses.fields(ClusteringMetrics)},
        workspace=to_text(workspace.path),
        clusters=tuple(map(row_of, last.table)),
        candidates=(),
        seed=int(metrics["options"].get("seed", 0)),
        place=metrics["options"].get("place", "symlink"),
        placed={},
        missing=0,
        report=to_text(workspace.report),
        dry_run=dry_run,
        seconds=watch.seconds,
        warnings=(),
        assigned=0,
        unsorted=0,
        similar_unsorted=0,
        new_clusters=(),
        removed=0,
    )
