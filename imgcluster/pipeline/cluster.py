"""`cluster`: from the workspace's embeddings to labelled folders, tables and the page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imgcluster._version import __version__
from imgcluster.clustering import Clustering, Settings, assign_noise, choose_method, cluster_degenerate, cluster_vectors
from imgcluster.encoders.info import Metric
from imgcluster.errors import WorkspaceError
from imgcluster.measures import measure
from imgcluster.pathtext import to_text
from imgcluster.pipeline.embed import DEFAULT_WORKSPACE
from imgcluster.pipeline.outcome import ClusterRow, Outcome, rounded
from imgcluster.pipeline.report import write_page
from imgcluster.pipeline.results import encoder_identity, forget_plans, require_not_moved, take_back_links
from imgcluster.pipeline.stopwatch import Stopwatch
from imgcluster.placement import Placed, PlaceMode, check_mode, place, plan
from imgcluster.progress import Progress, Report, silent
from imgcluster.reduction import choose_reduction, normalise, reduce
from imgcluster.report.content import quality
from imgcluster.store.atomic import remove, write_json
from imgcluster.store.shards import load
from imgcluster.store.workspace import Workspace

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
        noise: Images of no cluster.
        silhouette: Mean silhouette in [−1, 1]; None where it is not defined.
        quality: One sentence on how far the clusters can be trusted; "" where nothing is known of it.
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
    k: int | None = None,
    method: str = "auto",
    min_cluster_size: int | None = None,
    reduction: str = "auto",
    assign: bool = False,
    place_by: str = "symlink",
    dry_run: bool = False,
    seed: int = 0,
    report: Report = silent,
) -> ClusterSummary:
    """Cluster the workspace's embeddings and write all results.

    Vectors are brought to length 1 where the encoder's metric is the cosine. The folders, tables and page of an
    earlier clustering are replaced; files that imgcluster did not write stay.

    Args:
        workspace: The workspace folder.
        k: The number of clusters; without it the method finds it.
        method: ``auto`` (k-means with `k`, HDBSCAN without), ``kmeans``, ``hdbscan`` or ``evoc``.
        min_cluster_size: The smallest cluster that HDBSCAN and EVoC make; it grows with the images without it.
        reduction: ``auto`` (PCA before HDBSCAN, nothing before the others), ``none``, ``pca`` or ``umap``.
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
    settings = Settings(k=k, min_cluster_size=min_cluster_size, seed=seed)
    settings.check_for(chosen)
    options = {
        "k": k,
        "method": method,
        "min_cluster_size": min_cluster_size,
        "reduce": reduction,
        "assign_noise": assign,
        "place": mode,
        "seed": seed,
    }
    space = Workspace(workspace)
    identity = encoder_identity(space)
    with space.locked():
        if not dry_run:
            require_not_moved(space)
        manifest = space.manifest
        report(Progress("load", 0))
        embeddings = load(space.embeddings, identity)
        if not embeddings.locations:
            raise WorkspaceError(f"{space.path} holds no embeddings yet: run imgcluster embed PATH first")
        watch.lap("load")

        report(Progress("cluster", 0))
        metric: Metric = manifest["encoder"].get("metric", "cosine")
        vectors = normalise(embeddings.vectors) if metric == "cosine" else embeddings.vectors
        same = cluster_degenerate(vectors, settings)
        reduced = reduce(vectors, "none" if same else wanted, seed=seed)
        watch.lap("reduce")
        clustering = same or cluster_vectors(reduced.vectors, chosen, settings)
        if assign:
            clustering = assign_noise(reduced.vectors, clustering)
        watch.lap("cluster")

        report(Progress("measure", 0))
        measures = measure(embeddings.vectors, clustering.labels, metric, seed=seed)
        outcome = Outcome(space, manifest, embeddings, clustering, measures)
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
            watch.lap("place")
        warnings = tuple(_warnings(clustering, placed, mode, manifest))
        result: dict[str, Any] = {
            "method": chosen,
            "reduction": reduced.how,
            "parameters": clustering.parameters,
            "images": len(embeddings.locations),
            "noise": int((clustering.labels < 0).sum()),
            "silhouette": rounded(measures.silhouette),
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
            quality=quality(result),
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


def _warnings(clustering: Clustering, placed: Placed, mode: str, manifest: dict[str, Any]) -> Iterator[str]:
    count = len(clustering.labels)
    noise = int((clustering.labels < 0).sum())
    if clustering.parameters.get("identical"):
        yield (
            f"All {count} images are the same to this encoder, so they are one cluster; if they look different, "
            "try another --encoder."
        )
    elif noise == count:
        yield (
            f"No group of {clustering.parameters.get('min_cluster_size')} or more similar images was found, so all are "
            "noise; try --min-cluster-size 2, or ask for a number of clusters with --k N."
        )
    elif noise > count / 2:
        yield (
            f"More than half of the images ({noise} of {count}) are in no cluster; --assign-noise gives each to its "
            "nearest one, and --k N asks for a fixed number of clusters."
        )
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
