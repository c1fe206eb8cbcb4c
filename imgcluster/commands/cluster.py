"""`cluster`: from the workspace's embeddings to folders of clusters, tables and the page."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from imgcluster._version import __version__
from imgcluster.clustering.changes import ClusterChange
from imgcluster.clustering.types import Candidate, ClusteringResult
from imgcluster.commands.support.change_placed import return_interrupted_move
from imgcluster.commands.support.cluster_request import ClusterRequest, fit_clusters, resolve
from imgcluster.commands.support.cluster_warnings import (
    about_changes,
    about_encoder,
    about_estimate,
    about_folders,
    about_groups,
    about_statistics,
    quality,
)
from imgcluster.commands.support.join_started import join_if_started
from imgcluster.commands.support.measures import measure_clusters
from imgcluster.commands.support.naming import suggested_names
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.numbering import Numbered, number_clusters, read_earlier
from imgcluster.commands.support.placed_files import mode_for_clusters, read_placement
from imgcluster.commands.support.projection import begin_projection
from imgcluster.commands.support.publish import ClusteringMetrics, Evaluated, publish, summary_fields
from imgcluster.commands.support.reduction import cached_reduction
from imgcluster.commands.support.steps import recover
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.evaluation.types import Measures
from imgcluster.features.threads import one_thread
from imgcluster.option_fields import with_changes
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions
from imgcluster.placement import Journal, PlaceMode
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import MapParts
from imgcluster.wording import counted
from imgcluster.workspace.caches import read_clustering, write_clustering
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.result_tables import ClusteringTables, rounded
from imgcluster.workspace.results import encoder_metric, read_embeddings, with_options
from imgcluster.workspace.shards import Embeddings
from imgcluster.workspace.table_columns import ClusterRow

__all__ = ["ClusterRow", "ClusterSummary", "ClusteringMetrics", "cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSummary(ClusteringMetrics):
    """What `cluster` found and wrote.

    Attributes:
        workspace: The workspace folder.
        clusters: The clusters in the order of their numbers: of a first clustering the largest first.
        candidates: The numbers of clusters that were scored, under ``--k auto`` or a range.
        seed: The seed.
        place: The requested placement mode.
        placed: Numbers of placed files by the mode that was used.
        missing: Images whose file is gone, so that they could not be placed, or their link leads nowhere.
        report: The page; empty on a dry run.
        dry_run: Whether nothing was written.
        seconds: Wall-clock time.
        warnings: What the user should know, in whole sentences.
        remarks: What is neither good nor bad, in whole sentences.
        changes: What became of each cluster of the last clustering; empty for the first one.
        reassigned: The number of images of the last clustering that are in another cluster now.
        returned: Originals that were moved before and return, or would return, to their original paths.
        returned_to: The folders of these paths.
    """

    workspace: str
    clusters: tuple[ClusterRow, ...]
    candidates: tuple[Candidate, ...]
    seed: int
    place: PlaceMode
    placed: dict[str, int]
    missing: int
    report: str
    dry_run: bool
    seconds: float
    warnings: tuple[str, ...]
    changes: tuple[ClusterChange, ...] = ()
    reassigned: int = 0
    returned: int = 0
    returned_to: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@in_object_storage_too
def cluster(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    options: ClusterOptions | None = None,
    discard_decisions: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
    map_parts: MapParts = map,
    **changes: Any,
) -> ClusterSummary:
    """Cluster the workspace's embeddings and write all results.

    Folders, tables and page of an earlier clustering are replaced; files that imgcluster did not write stay. Clusters
    that continue earlier ones keep their numbers and names, and images stay where the user put them. Where the last
    clustering was of the same images under the same options, except for `level`, `place`, `vocabulary` and
    `name_clusters`, its fit is reused.

    Args:
        workspace: The workspace folder.
        options: See `ClusterOptions`.
        discard_decisions: Whether corrections that cannot be kept are removed.
        dry_run: Only report what would be written.
        on_progress: Called with each step.
        map_parts: As for `fit_clusters`.
        **changes: Single fields of `ClusterOptions`, as in ``cluster(k=10)``.

    Raises:
        UsageError: An option is not understood, or options contradict each other.
        WorkspaceError: Nothing is embedded, another process works here, a shard of ``embed --shard`` is not complete,
            or corrections cannot be kept.
        ClusteringError: The images cannot be clustered as requested.
        PlacementError: A file could not be placed.
    """
    watch = Stopwatch()
    workspace = Workspace(workspace)
    request = resolve(with_changes(options or ClusterOptions(), changes), workspace.url)
    workspace.require_initialized()
    join_if_started(workspace, dry_run=dry_run, on_progress=on_progress)
    with workspace.locked(read_only=dry_run) as manifest:
        stored = _load(workspace, manifest, request, on_progress, dry_run=dry_run)
        watch.lap("load")
        # The map needs no clusters, so it is computed beside them. The limit of BLAS is that of the process: it has to
        # be the same for both, however long each takes.
        with one_thread("blas"):
            seed = request.settings.seed
            projection = None if dry_run else begin_projection(workspace, stored.embeddings, stored.manifest, seed)
            on_progress(Progress("cluster", 0))
            key = _cache_key(stored, request)
            cached = read_clustering(workspace.layers, key)
            fit = cached or _fit(workspace, stored, request, map_parts, dry_run=dry_run)
            watch.lap("cluster")
            on_progress(Progress("measure", 0))
            evaluated = _evaluate(workspace, stored, request, fit, on_progress, discard_decisions=discard_decisions)
            watch.lap("measure")
            placed = publish(workspace, evaluated, stored.journal, watch, on_progress, projection, dry_run=dry_run)
            if cached is None and not dry_run:
                # After the results: the earlier cache belongs to the state that `undo` restores.
                write_clustering(workspace.layers, key, fit)
    return ClusterSummary(**summary_fields(workspace, evaluated, placed, watch, dry_run=dry_run))


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a clustering starts from.

    Attributes:
        manifest: That of the workspace, with the options of the request.
        embeddings: All images.
        journal: That of the placed files.
        note: What a dry run did not do; "" if nothing.
    """

    manifest: dict[str, Any]
    embeddings: Embeddings
    journal: Journal | None
    note: str


def _load(
    workspace: Workspace, manifest: dict[str, Any], request: ClusterRequest, on_progress: OnProgress, *, dry_run: bool
) -> _Stored:
    """Undo what was interrupted, and read the embeddings and the journal.

    Raises:
        WorkspaceError: Nothing is embedded, or what was interrupted cannot be undone.
    """
    manifest = recover(workspace, manifest, dry_run=dry_run, on_progress=on_progress)
    on_progress(Progress("load", 0))
    embeddings = read_embeddings(workspace, manifest)
    journal = read_placement(workspace, embeddings.files)
    journal, note = return_interrupted_move(workspace, journal, dry_run=dry_run)
    return _Stored(with_options(manifest, dataclasses.asdict(request.options)), embeddings, journal, note)


def _cache_key(stored: _Stored, request: ClusterRequest) -> dict[str, Any]:
    fingerprint = stored.embeddings.fingerprint
    return {"imgcluster": __version__, "fingerprint": fingerprint, "options": request.fit_options}


def _fit(
    workspace: Workspace, stored: _Stored, request: ClusterRequest, map_parts: MapParts, *, dry_run: bool
) -> ClusteringResult:
    """Return `fit_clusters`, with the reduction of the workspace if it has the one that is needed."""
    metric, seed = encoder_metric(stored.manifest), request.settings.seed
    facts = f"{stored.embeddings.fingerprint} {metric} {request.reduction} {seed}"
    reduction_cache = partial(cached_reduction, workspace.reduction, facts, dry_run=dry_run)
    return fit_clusters(
        stored.embeddings, stored.manifest, request, reduction_cache=reduction_cache, map_parts=map_parts
    )


def _evaluate(
    workspace: Workspace,
    stored: _Stored,
    request: ClusterRequest,
    fit: ClusteringResult,
    on_progress: OnProgress,
    *,
    discard_decisions: bool,
) -> Evaluated:
    """Number and measure the clusters of the requested layer; the stored vectors are normalized in place."""
    manifest, embeddings = stored.manifest, stored.embeddings
    earlier = read_earlier(workspace, embeddings)
    mode = mode_for_clusters(workspace, request.mode, stored.journal, embeddings.locations)
    layer = fit.clustering.at(request.options.level)
    stability = fit.stability[layer.chosen]
    numbered = number_clusters(layer, stability, earlier, embeddings.locations, discard=discard_decisions)
    labels = numbered.clustering.labels
    embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    measures = measure_clusters(workspace, manifest, embeddings, labels)
    suggested, missing = suggested_names(
        manifest, embeddings.vectors, embeddings.scores, labels, request.options.vocabulary, on_progress
    )
    tables = ClusteringTables(
        workspace,
        manifest,
        embeddings,
        numbered.clustering,
        measures,
        numbered.stability,
        numbers=numbered.numbers.tolist(),
        names=numbered.decisions.names,
        suggested_names=suggested,
        decisions=earlier.kinds(numbered.decisions),
    )
    # The requested number of clusters is that of the layer that the method chose, not of another picked layer.
    requested = request.settings.k is not None and layer.chosen == fit.clustering.chosen
    warnings = _warnings(numbered, embeddings, manifest, requested=requested)
    return Evaluated(
        options=dataclasses.asdict(request.options) | {"place": mode},
        mode=mode,
        manifest=manifest,
        tables=tables,
        facts=_metrics(request, fit, numbered, measures),
        silhouette_sample=measures.silhouette_sample,
        notes=(*filter(None, [stored.note, missing]), *warnings),
        remarks=(*about_estimate(layer, requested=requested), *about_folders(labels, embeddings)),
        command="cluster",
        summary=counted(len(tables.rows), "cluster"),
        earlier=earlier,
        decisions=numbered.decisions,
        changes=numbered.changes,
        about_changes=about_changes(numbered.changes, numbered.moved),
        reassigned=numbered.moved,
    )


def _metrics(
    request: ClusterRequest, fit: ClusteringResult, numbered: Numbered, measures: Measures
) -> ClusteringMetrics:
    clustering = numbered.clustering
    images, noise = len(clustering.labels), int((clustering.labels < 0).sum())
    return ClusteringMetrics(
        method=request.method,
        reduction=fit.note,
        parameters=clustering.parameters | clustering.notes.by_json_name(),
        images=images,
        layers=tuple(layer.count for layer in clustering.layers),
        layer=clustering.chosen,
        noise=noise,
        silhouette=rounded(measures.silhouette),
        quality=quality(dict(zip(numbered.numbers.tolist(), numbered.stability, strict=True)), images, noise),
    )


def _warnings(
    numbered: Numbered, embeddings: Embeddings, manifest: dict[str, Any], *, requested: bool
) -> Iterator[str]:
    clustering = numbered.clustering
    smallest = clustering.parameters.get("min_cluster_size")
    yield from about_groups(clustering, numbered.stability, requested=requested, min_cluster_size=smallest)
    yield from about_statistics(clustering.labels, embeddings)
    yield from about_encoder(manifest["encoder"], embeddings)
