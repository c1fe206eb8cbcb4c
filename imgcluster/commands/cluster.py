"""`cluster`: from the workspace's embeddings to labelled folders, tables and the page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from imgcluster._version import __version__
from imgcluster.clustering import Settings, choose_method
from imgcluster.clustering.run import divide_images
from imgcluster.commands.advice import about_encoder, about_groups, about_looks, quality
from imgcluster.commands.embed import DEFAULT_WORKSPACE
from imgcluster.commands.page import write_page
from imgcluster.commands.retire import forget_plans, require_not_moved, take_back_links
from imgcluster.commands.stopwatch import Stopwatch
from imgcluster.errors import WorkspaceError
from imgcluster.evaluation.internal import measure
from imgcluster.features.reduce import choose_reduction
from imgcluster.fileio.atomic import remove, write_json
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.path_text import to_text
from imgcluster.placement import Placed, PlaceMode, check_mode, place, plan
from imgcluster.progress import Progress, Report, silent
from imgcluster.report.plots import candidates_figure, save
from imgcluster.types import Candidate, Kept, Metric, check_level
from imgcluster.workspace.caches import read_kept, write_kept
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.result_tables import ClusterRow, Outcome, rounded
from imgcluster.workspace.results import encoder_identity
from imgcluster.workspace.shards import Embeddings, load
from imgcluster.workspace.tables import CANDIDATES

__all__ = ["ClusterRow", "ClusterSummary", "cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSummary:
    """What `cluster` found.

    Attributes:
        workspace: The workspace folder.
        method: The method, in the words of ``--method``.
        reduction: How the embeddings were reduced, in words.
        parameters: The values that the method settled on.
        images: Clustered images, noise included.
        clusters: The clusters, the largest first.
        layers: The numbers of clusters of the layers that ``--level`` can pick, the finest first.
        layer: The number of the layer that `clusters` are.
        candidates: The numbers of clusters that were weighed, under ``--k auto`` or a range.
        noise: Images of no cluster.
        silhouette: Mean silhouette in [−1, 1]; None where it is not defined.
        quality: How far the clusters can be trusted, in one sentence.
        seed: The seed.
        place: How files were to be placed.
        placed: Files placed, by the way that was taken.
        missing: Images that could not be placed because their file is gone.
        report: The page; empty on a dry run.
        dry_run: Whether nothing was written.
        seconds: Wall-clock time.
        warnings: What the user should know, in whole sentences.
    """

    workspace: str
    method: str
    reduction: str
    parameters: dict[str, Any]
    images: int
    clusters: tuple[ClusterRow, ...]
    layers: tuple[int, ...]
    layer: int
    candidates: tuple[Candidate, ...]
    noise: int
    silhouette: float | None
    quality: str
    seed: int
    place: PlaceMode
    placed: dict[str, int]
    missing: int
    report: str
    dry_run: bool
    seconds: float
    warnings: tuple[str, ...]


def cluster(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    k: int | str | None = None,
    method: str = "auto",
    min_cluster_size: int | None = None,
    reduction: str = "auto",
    level: str | None = None,
    assign: bool = False,
    place_by: str = "symlink",
    dry_run: bool = False,
    seed: int = 0,
    report: Report = silent,
) -> ClusterSummary:
    """Cluster the workspace's embeddings and write all results.

    The folders, tables and page of an earlier clustering are replaced; files that imgcluster did not write stay.
    Where the last clustering was of the same images under the same options, but for `level` and `place_by`, nothing
    is computed again.

    Args:
        workspace: The workspace folder.
        k: The number of clusters; without it, it is found. ``auto`` or a range such as ``2..30`` also scores the
            numbers in question.
        method: ``auto`` (k-means), ``kmeans``, ``hdbscan`` or ``evoc``.
        min_cluster_size: The smallest cluster that HDBSCAN and EVoC make; it grows with the images without it.
        reduction: ``auto`` (nothing before EVoC, else ``graph``), ``none``, ``graph``, ``pca`` or ``umap``.
        level: ``fine``, ``medium`` or ``coarse``, or the number of a layer, 0 being the finest.
        assign: Whether noise goes to the cluster of its neighbours.
        place_by: ``symlink``, ``copy``, ``hardlink``, ``move`` or ``none``.
        dry_run: Whether only to say what would be written.
        seed: Of everything random.
        report: Called with each step.

    Raises:
        UsageError: An option is not understood, or options do not go together.
        WorkspaceError: Nothing is embedded, another process works here, or the originals are moved.
        ClusteringError: The images cannot be clustered as asked.
        PlacementError: A file could not be placed.
    """
    watch = Stopwatch()
    mode = check_mode(place_by)
    chosen = choose_method(method, k)
    wanted = choose_reduction(reduction, chosen)
    settings = Settings.of(k, min_cluster_size=min_cluster_size, seed=seed)
    settings.check_for(chosen)
    check_level(level)
    told = {
        "k": k,
        "method": method,
        "min_cluster_size": min_cluster_size,
        "reduce": reduction,
        "assign_noise": assign,
        "seed": seed,
    }
    options = {**told, "level": level, "place": mode}
    space = Workspace(workspace)
    identity = encoder_identity(space)
    with space.locked(dry_run=dry_run):
        first = require_not_moved(space, dry_run=dry_run)
        manifest = space.manifest
        report(Progress("load", 0))
        embeddings = load(space.embeddings, identity)
        if not embeddings.locations:
            raise WorkspaceError(f"{space.path} holds no embeddings yet: run imgcluster embed PATH first")
        watch.lap("load")

        report(Progress("cluster", 0))
        metric: Metric = manifest["encoder"].get("metric", "cosine")
        key = {"imgcluster": __version__, "fingerprint": embeddings.fingerprint, "options": told}
        kept = read_kept(space.layers, key)
        if kept is None:
            kept = divide_images(
                embeddings.vectors, metric, method=chosen, reduction=wanted, settings=settings, assign=assign
            )
            if not dry_run:
                write_kept(space.layers, key, kept)
        clustering = kept.clustering.at(level)
        stability = kept.stability[clustering.chosen]
        watch.lap("cluster")

        report(Progress("measure", 0))
        measures = measure(embeddings.vectors, clustering.labels, metric, seed=seed)
        outcome = Outcome(space, manifest, embeddings, clustering, measures, stability)
        watch.lap("measure")

        if dry_run:
            placed = Placed({} if mode == "none" else {mode: len(embeddings.locations)}, ())
        else:
            # From here to the last line the workspace has no clustering; then it has the new one.
            forget_plans(space)
            for path in space.results:
                remove(path)
            take_back_links(space)
            placed = _place(space, outcome, mode, report)
            outcome.write_tables()
            _write_candidates(space, clustering.candidates)
            watch.lap("place")
        warnings = (
            *([first] if first else []),
            *_about_clusters(kept, level, embeddings, manifest, settings),
            *_about_files(placed, mode, manifest),
        )
        noise = int((clustering.labels < 0).sum())
        result: dict[str, Any] = {
            "method": chosen,
            "reduction": kept.how,
            "parameters": clustering.parameters,
            "images": len(embeddings.locations),
            "layers": tuple(layer.count for layer in clustering.layers),
            "layer": clustering.chosen,
            "noise": noise,
            "silhouette": rounded(measures.silhouette),
            "quality": quality(stability, len(embeddings.locations), noise),
        }
        if not dry_run:
            metrics = {
                "imgcluster": __version__,
                "fingerprint": embeddings.fingerprint,
                "base": outcome.base,
                "options": options,
                "clusters": clustering.count,
                "silhouette_sample": measures.silhouette_sample,
                "warnings": list(warnings),
                **result,
            }
            write_page(space, metrics, embeddings=embeddings, report=report)
            watch.lap("report")
            record = {"options": options, "clusters": clustering.count, **result}
            record |= {"placed": placed.counts, "seconds": watch.stages}
            space.write_manifest(space.manifest | {"cluster": record})
            # Last: only now is everything it speaks of there.
            write_json(space.metrics, metrics)
        return ClusterSummary(
            workspace=to_text(space.path),
            clusters=outcome.rows,
            candidates=clustering.candidates,
            seed=seed,
            place=mode,
            placed=placed.counts,
            missing=len(placed.missing),
            report="" if dry_run else to_text(space.report),
            dry_run=dry_run,
            seconds=watch.seconds,
            warnings=warnings,
            **result,
        )


def _place(space: Workspace, outcome: Outcome, mode: PlaceMode, report: Report) -> Placed:
    if mode == "none":
        return Placed({}, ())
    journal = plan(outcome.locations, outcome.labels, space.clusters, mode, outcome.names)
    total = len(journal.entries)
    return place(journal, space.journal, step=lambda done: report(Progress("place", done, total)))


def _write_candidates(space: Workspace, candidates: Sequence[Candidate]) -> None:
    if not candidates:
        return
    write_table(space.candidates_table, CANDIDATES, (astuple(candidate) for candidate in candidates))
    save(candidates_figure(candidates), space.candidates_picture)


def _about_clusters(
    kept: Kept, level: str | None, embeddings: Embeddings, manifest: dict[str, Any], settings: Settings
) -> Iterator[str]:
    clustering = kept.clustering.at(level)
    stability = kept.stability[clustering.chosen]
    smallest = clustering.parameters.get("min_cluster_size")
    # What was asked for is the layer that the method chose; another one was picked.
    asked = settings.k is not None and clustering.chosen == kept.clustering.chosen
    yield from about_groups(clustering, stability, asked=asked, min_cluster_size=smallest)
    yield from about_looks(clustering.labels, embeddings)
    yield from about_encoder(manifest["encoder"], embeddings)


def _about_files(placed: Placed, mode: str, manifest: dict[str, Any]) -> Iterator[str]:
    if manifest.get("state") != "embedded":
        yield "The last embed was interrupted, so images are missing here; run the same embed command to complete it."
    others = sorted(set(placed.counts) - {mode})
    if others:
        yield f"This file system does not allow every {mode}; some files were placed by {' and '.join(others)} instead."
    if placed.missing:
        yield (
            f"{len(placed.missing)} images have no file any more and are missing in the folders, the first "
            f"{placed.missing[0]}; run imgcluster embed again on their folder, or, where that was renamed or removed, "
            "start over with --fresh."
        )
