"""`cluster`: from the workspace's embeddings to folders of clusters, tables and the page."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from imgcluster._version import __version__
from imgcluster.clustering import METHODS, Settings, choose_method
from imgcluster.clustering.run import cluster_embeddings
from imgcluster.commands.cluster_warnings import about_encoder, about_groups, about_statistics, quality
from imgcluster.commands.page import with_normalized_lengths, write_page
from imgcluster.commands.replace_results import read_placement, replacing_results, require_not_moved
from imgcluster.commands.stopwatch import Stopwatch
from imgcluster.errors import WorkspaceError
from imgcluster.evaluation.internal import measure
from imgcluster.features.reduce import choose_reduction
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions, with_changes
from imgcluster.placement import Journal, PlacementResult, PlaceMode, check_mode, place, plan_placement
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Candidate, ClusteringResult, check_level
from imgcluster.workspace.caches import read_clustering, write_clustering
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.result_tables import ClusteringTables, rounded
from imgcluster.workspace.results import encoder_identity, encoder_metric
from imgcluster.workspace.shards import Embeddings, load
from imgcluster.workspace.table_columns import CANDIDATES, ClusterRow

__all__ = ["ClusterRequest", "ClusterRow", "ClusterSummary", "ClusteringMetrics", "cluster", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteringMetrics:
    """What is on record of a clustering: in the summary, in ``metrics.json`` and in the manifest.

    Attributes:
        method: The method, as ``--method`` names it.
        reduction: How the embeddings were reduced.
        parameters: The values that the method used.
        images: Clustered images, noise included.
        layers: The numbers of clusters of the layers that ``--level`` can pick, the finest first.
        layer: The index of the picked layer.
        noise: Images in no cluster.
        silhouette: Mean silhouette in [-1, 1]; None where it is not defined.
        quality: How far the clusters can be trusted, in one sentence.
    """

    method: str
    reduction: str
    parameters: dict[str, Any]
    images: int
    layers: tuple[int, ...]
    layer: int
    noise: int
    silhouette: float | None
    quality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSummary(ClusteringMetrics):
    """What `cluster` found and wrote.

    Attributes:
        workspace: The workspace folder.
        clusters: The clusters, the largest first.
        candidates: The numbers of clusters that were scored, under ``--k auto`` or a range.
        seed: The seed.
        place: The requested placement mode.
        placed: Numbers of placed files by the mode that was used.
        missing: Images that could not be placed because their file is gone.
        report: The page; empty on a dry run.
        dry_run: Whether nothing was written.
        seconds: Wall-clock time.
        warnings: What the user should know, in whole sentences.
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


@dataclass(frozen=True, slots=True)
class ClusterRequest:
    """The options of a clustering, checked, with the method and the reduction that ``auto`` stands for."""

    options: ClusterOptions
    method: str
    reduction: str
    settings: Settings
    mode: PlaceMode

    @property
    def fit_options(self) -> dict[str, Any]:
        """The options that the fit depends on: all but the layer and the placement."""
        values = dataclasses.asdict(self.options)
        return {name: value for name, value in values.items() if name not in ("level", "place")}


def resolve(options: ClusterOptions) -> ClusterRequest:
    """Check options before anything is computed.

    Raises:
        UsageError: An option is not understood, or options contradict each other.
    """
    settings = Settings.of(options.k, min_cluster_size=options.min_cluster_size, seed=options.seed)
    method = choose_method(options.method, options.k, options.min_cluster_size)
    check_level(options.level)
    reduction = choose_reduction(options.reduce, METHODS[method].reduction)
    return ClusterRequest(options, method, reduction, settings, check_mode(options.place))


def cluster(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    options: ClusterOptions | None = None,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
    **changes: Any,
) -> ClusterSummary:
    """Cluster the workspace's embeddings and write all results.

    Folders, tables and page of an earlier clustering are replaced; files that imgcluster did not write stay. Where
    the last clustering was of the same images under the same options, except for `level` and `place`, its fit is
    reused.

    Args:
        workspace: The workspace folder.
        options: See `ClusterOptions`.
        dry_run: Only report what would be written.
        on_progress: Called with each step.
        **changes: Single fields of `ClusterOptions`, as in ``cluster(k=10)``.

    Raises:
        UsageError: An option is not understood, or options contradict each other.
        WorkspaceError: Nothing is embedded, another process works here, or the originals were moved.
        ClusteringError: The images cannot be clustered as requested.
        PlacementError: A file could not be placed.
    """
    watch = Stopwatch()
    request = resolve(with_changes(options or ClusterOptions(), changes))
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked(dry_run=dry_run) as manifest:
        on_progress(Progress("load", 0))
        embeddings = load(workspace.embeddings, encoder_identity(workspace, manifest))
        journal = read_placement(workspace, frozenset(embeddings.locations))
        journal, note = require_not_moved(workspace, journal, dry_run=dry_run)
        if not embeddings.locations:
            raise WorkspaceError(f"{workspace.path} holds no embeddings yet: run imgcluster embed PATH first")
        watch.lap("load")

        on_progress(Progress("cluster", 0))
        fit = _fit(workspace, embeddings, manifest, request, dry_run=dry_run)
        watch.lap("cluster")

        on_progress(Progress("measure", 0))
        found = _evaluate(workspace, embeddings, manifest, request, fit, note)
        watch.lap("measure")

        if dry_run:
            count = len(embeddings.locations)
            placed = PlacementResult({} if request.mode == "none" else {request.mode: count}, ())
        else:
            placed = _publish(workspace, found, journal, watch, on_progress)
    return ClusterSummary(
        **_fields(found.facts),
        workspace=to_text(workspace.path),
        clusters=found.tables.rows,
        candidates=found.tables.clustering.candidates,
        seed=request.options.seed,
        place=request.mode,
        placed=placed.counts,
        missing=len(placed.missing),
        report="" if dry_run else to_text(workspace.report),
        dry_run=dry_run,
        seconds=watch.seconds,
        warnings=found.warnings(placed),
    )


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A clustering with all that is published of it.

    Attributes:
        request: The request.
        manifest: The workspace's manifest.
        tables: The tables; their embeddings are normalized as `write_page` needs them.
        facts: The metrics.
        silhouette_sample: The number of images that the mean silhouette was computed on.
        notes: The warnings before files are placed.
    """

    request: ClusterRequest
    manifest: dict[str, Any]
    tables: ClusteringTables
    facts: ClusteringMetrics
    silhouette_sample: int
    notes: tuple[str, ...]

    def warnings(self, placed: PlacementResult) -> tuple[str, ...]:
        """Return all warnings, those on placed files included."""
        return (*self.notes, *_about_files(placed, self.request.mode, self.manifest))


def _fit(
    workspace: Workspace, embeddings: Embeddings, manifest: dict[str, Any], request: ClusterRequest, *, dry_run: bool
) -> ClusteringResult:
    """Return the cached fit of these embeddings under these options, or compute and cache it."""
    key = {"imgcluster": __version__, "fingerprint": embeddings.fingerprint, "options": request.fit_options}
    cached = read_clustering(workspace.layers, key)
    if cached is not None:
        return cached
    fit = cluster_embeddings(
        embeddings.vectors,
        encoder_metric(manifest),
        method=request.method,
        reduction=request.reduction,
        settings=request.settings,
        assign=request.options.assign_noise,
        order=embeddings.content_order,
    )
    if not dry_run:
        write_clustering(workspace.layers, key, fit)
    return fit


def _evaluate(
    workspace: Workspace,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    request: ClusterRequest,
    fit: ClusteringResult,
    note: str,
) -> _Evaluated:
    """Measure the requested layer of a fit; the vectors of `embeddings` are normalized in place."""
    clustering = fit.clustering.at(request.options.level)
    stability = fit.stability[clustering.chosen]
    embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    measures = measure(embeddings.vectors, clustering.labels, encoder_metric(manifest), order=embeddings.content_order)
    images, noise = len(clustering.labels), int((clustering.labels < 0).sum())
    facts = ClusteringMetrics(
        method=request.method,
        reduction=fit.note,
        parameters=clustering.parameters,
        images=images,
        layers=tuple(layer.count for layer in clustering.layers),
        layer=clustering.chosen,
        noise=noise,
        silhouette=rounded(measures.silhouette),
        quality=quality(stability, images, noise),
    )
    tables = ClusteringTables(workspace, manifest, embeddings, clustering, measures, stability)
    notes = (*filter(None, [note]), *_about_clusters(fit, request, embeddings, manifest))
    return _Evaluated(request, manifest, tables, facts, measures.silhouette_sample, notes)


def _publish(
    workspace: Workspace, found: _Evaluated, journal: Journal | None, watch: Stopwatch, on_progress: OnProgress
) -> PlacementResult:
    """Replace the results in the workspace, all or none, and the files placed by `journal`."""
    tables = found.tables
    options = dataclasses.asdict(found.request.options)
    metrics = {
        "imgcluster": __version__,
        "fingerprint": tables.embeddings.fingerprint,
        "base": tables.base,
        "options": options,
        "clusters": len(tables.rows),
        "silhouette_sample": found.silhouette_sample,
        **_fields(found.facts),
    }
    with replacing_results(workspace, journal, metrics):
        placed = _place(workspace, tables, found.request.mode, on_progress)
        tables.write()
        _write_candidates(workspace, tables.clustering.candidates)
        watch.lap("place")
        metrics["warnings"] = list(found.warnings(placed))
        results = tables.results(metrics)
        write_page(workspace, results, tables.embeddings, found.manifest, placed.journal, on_progress=on_progress)
        watch.lap("report")
        record = {"options": options, "clusters": len(tables.rows), **_fields(found.facts)}
        record |= {"placed": placed.counts, "seconds": watch.stages}
        workspace.write_manifest(found.manifest | {"cluster": record})
    return placed


def _place(workspace: Workspace, tables: ClusteringTables, mode: PlaceMode, on_progress: OnProgress) -> PlacementResult:
    if mode == "none":
        return PlacementResult({}, ())
    journal = plan_placement(tables.embeddings.locations, tables.labels, workspace.clusters, mode, tables.names)
    total = len(journal.entries)
    return place(journal, workspace.journal, step=lambda done: on_progress(Progress("place", done, total)))


def _write_candidates(workspace: Workspace, candidates: Sequence[Candidate]) -> None:
    if not candidates:
        return
    from imgcluster.report.plots import candidates_figure, save

    write_table(workspace.candidates_table, CANDIDATES, (dataclasses.astuple(candidate) for candidate in candidates))
    save(candidates_figure(candidates), workspace.candidates_picture)


def _about_clusters(
    fit: ClusteringResult, request: ClusterRequest, embeddings: Embeddings, manifest: dict[str, Any]
) -> Iterator[str]:
    clustering = fit.clustering.at(request.options.level)
    # The requested number of clusters is that of the layer that the method chose, not of another picked layer.
    requested = request.settings.k is not None and clustering.chosen == fit.clustering.chosen
    smallest = clustering.parameters.get("min_cluster_size")
    yield from about_groups(
        clustering, fit.stability[clustering.chosen], requested=requested, min_cluster_size=smallest
    )
    yield from about_statistics(clustering.labels, embeddings)
    yield from about_encoder(manifest["encoder"], embeddings)


def _about_files(placed: PlacementResult, mode: str, manifest: dict[str, Any]) -> Iterator[str]:
    if manifest.get("state") != "embedded":
        yield "The last embed was interrupted, so images are missing here; run the same embed command to complete it."
    others = sorted(set(placed.counts) - {mode})
    if others:
        yield f"This file system does not allow every {mode}; some files were placed by {' and '.join(others)} instead."
    if placed.missing:
        yield (
            f"The files of {len(placed.missing)} images no longer exist, so the folders lack them; the first is "
            f"{placed.missing[0]}. Run imgcluster embed again on their folder or, where that was renamed or removed, "
            "start over with --fresh."
        )


def _fields(facts: ClusteringMetrics) -> dict[str, Any]:
    return {field.name: getattr(facts, field.name) for field in dataclasses.fields(ClusteringMetrics)}
