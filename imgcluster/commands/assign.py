"""`assign`: images embedded since the last clustering into its clusters."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from imgcluster.clustering.changes import compare_clusterings
from imgcluster.clustering.types import Clustering
from imgcluster.commands.cluster import ClusterSummary
from imgcluster.commands.support.cluster_warnings import quality
from imgcluster.commands.support.grow import SMALLEST_GROUP, Grown, grow
from imgcluster.commands.support.join_started import join_if_started
from imgcluster.commands.support.last_clustering import folder_names, read_last_clustering
from imgcluster.commands.support.measures import measure_clusters
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.numbering import Earlier, read_earlier
from imgcluster.commands.support.placed_files import read_placement
from imgcluster.commands.support.publish import (
    ClusteringMetrics,
    Evaluated,
    about_files,
    placed_fields,
    publish,
    summary_fields,
)
from imgcluster.commands.support.steps import place_otherwise, recover
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.placement import PlaceMode, check_mode, choose_mode
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.wording import counted
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.plans import identity_of
from imgcluster.workspace.result_tables import ClusteringTables, rounded
from imgcluster.workspace.results import Results, encoder_identity, encoder_metric, with_options
from imgcluster.workspace.shards import Embeddings, load, summarize_shards
from imgcluster.workspace.table_columns import row_of

__all__ = ["AssignSummary", "assign"]

# Plans that were saved before this many assignments are accepted.
_IDENTITIES: Final = 20
# So that their digests stay a small part of metrics.json.
_MOST_LEFT: Final = 10_000
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

    @property
    def is_unchanged(self) -> bool:
        """Whether the clusters are as before."""
        return not (self.assigned or self.unsorted or self.removed or self.new_clusters)


@in_object_storage_too
def assign(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    new_clusters: bool = False,
    place: str | None = None,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> AssignSummary:
    """Put images that were embedded since the last clustering into its clusters.

    All other images keep their cluster, and clusters keep their number, name and folder. Images that are unlike all
    clusters are in none (−1, folder ``unsorted``). Where nothing is new, nothing is written, unless `place` is another
    mode than the present one.

    Args:
        workspace: The workspace folder.
        new_clusters: Create clusters of images in no cluster that are similar to each other.
        place: How images get into the folders; by default as they are now.
        dry_run: Only report what would be written.
        on_progress: Called with each step.

    Raises:
        WorkspaceError: Shards cannot be joined, nothing is clustered yet, no image of the clusters is left, or another
            process works here.
        PlacementError: A file could not be placed.
    """
    watch = Stopwatch()
    workspace = Workspace(workspace)
    requested = check_mode(place, workspace.url)
    workspace.require_initialized()
    join_if_started(workspace, dry_run=dry_run, on_progress=on_progress)
    with workspace.locked(read_only=dry_run) as manifest:
        manifest = recover(workspace, manifest, dry_run=dry_run, on_progress=on_progress)
        last = read_last_clustering(workspace)
        identity = encoder_identity(workspace, manifest)
        current = last.metrics.get("fingerprint") == summarize_shards(workspace.embeddings, identity).fingerprint
        if current and not (new_clusters and (last.clusters < 0).any()):
            return _unchanged(workspace, manifest, last, requested, watch, on_progress, dry_run=dry_run)
        on_progress(Progress("load", 0))
        embeddings = load(workspace.embeddings, identity)
        journal = read_placement(workspace, embeddings.files)
        earlier = read_earlier(workspace, embeddings)
        if int(earlier.known.current.sum()) != len(last.locations) or not (earlier.clusters >= 0).any():
            raise WorkspaceError(
                f"no image of the clusters in {workspace.path} is left, so nothing can be assigned to them: run "
                "imgcluster cluster"
            )
        manifest = with_options(manifest, last.metrics["options"])
        watch.lap("load")

        on_progress(Progress("cluster", 0))
        grown = grow(last, earlier, embeddings, encoder_metric(manifest), new_clusters=new_clusters)
        watch.lap("cluster")

        on_progress(Progress("measure", 0))
        mode = "none" if requested is None and journal is None else choose_mode(requested, journal, ())
        evaluated = _evaluate(workspace, manifest, embeddings, last, earlier, grown, mode)
        watch.lap("measure")
        placed = publish(workspace, evaluated, journal, watch, on_progress, dry_run=dry_run)
    return AssignSummary(
        **summary_fields(workspace, evaluated, placed, watch, dry_run=dry_run),
        assigned=int((grown.layer.labels[grown.new] >= 0).sum()),
        unsorted=int((grown.layer.labels[grown.new] < 0).sum()),
        similar_unsorted=grown.similar,
        new_clusters=grown.created,
        removed=sum(earlier.removed.values()),
    )


def _evaluate(
    workspace: Workspace,
    manifest: dict[str, Any],
    embeddings: Embeddings,
    last: Results,
    earlier: Earlier,
    grown: Grown,
    mode: PlaceMode,
) -> Evaluated:
    """Measure the clusters; the vectors of `embeddings` are normalized in place."""
    embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    layer, images = grown.layer, len(grown.layer.labels)
    noise = int((layer.labels < 0).sum())
    measures = measure_clusters(workspace, manifest, embeddings, layer.labels)
    present = [facts.cluster for facts in measures.clusters]
    added, known = int(grown.new.sum()), set(last.locations)
    renamed = sum(
        location not in known for location, new in zip(embeddings.locations, grown.new, strict=True) if not new
    )
    assigned = int(last.metrics.get("assigned", 0)) + added - grown.returned
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
        # The clusters of returning images have no name in the last tables.
        names={number: name for number, name in {**earlier.decisions.names, **last.names}.items() if number in present},
        decisions=earlier.kinds(earlier.decisions),
        suggested_names={number: row.get("suggested_name", "") for number, row in last.rows.items()},
    )
    growth = {"assigned": assigned, **_plans_before(last, earlier, tables)}
    return Evaluated(
        options=last.metrics["options"] | {"place": mode},
        mode=mode,
        manifest=manifest,
        tables=tables,
        facts=facts,
        silhouette_sample=measures.silhouette_sample,
        notes=tuple(_advice(grown, assigned, workspace)),
        command="assign",
        summary=", ".join(_what(added, sum(earlier.removed.values()), renamed, len(grown.created))),
        earlier=earlier,
        decisions=earlier.decisions,
        changes=compare_clusterings(earlier.clusters, layer.labels, earlier.removed),
        folder_name=folder_names(last.metrics | growth),
        growth=growth,
    )


def _plans_before(last: Results, earlier: Earlier, tables: ClusteringTables) -> dict[str, Any]:
    """Return the clusterings whose plans still apply, and the digests of the images that left since the first, by path.

    All of their images that are present keep their clusters. No plan applies once a path stands for another content, or
    when so many images have left that this is not known any more.
    """
    known = zip(earlier.known.digests, earlier.known.current.tolist(), strict=True)
    before = dict(zip(last.paths, (digest for digest, current in known if current), strict=True))
    present = dict(zip(tables.paths, tables.embeddings.digests, strict=True))
    same = all(present.get(path, was) == was for path, was in before.items())
    left = {path: was for path, was in last.metrics.get("left", {}).items() if path not in before}
    same = same and all(path not in present or present[path].hex() == was for path, was in left.items())
    left |= {path: was.hex() for path, was in before.items() if path not in present}
    if not same or len(left) > _MOST_LEFT:
        return {"identities": [], "left": {}}
    identities = [*last.metrics.get("identities", ()), identity_of(last.paths, last.clusters)]
    return {"identities": identities[-_IDENTITIES:], "left": left}


def _what(added: int, removed: int, renamed: int, created: int) -> Iterator[str]:
    """Yield what was done, for `history`."""
    if added or not (created or renamed):
        yield counted(added, "new image")
    if removed or not (created or renamed):
        yield f"{removed:,} removed"
    if renamed:
        yield f"{renamed:,} renamed"
    if created:
        yield counted(created, "new cluster")


def _advice(grown: Grown, assigned: int, workspace: Workspace) -> Iterator[str]:
    images, new = len(grown.new), int(grown.new.sum())
    unsorted = int((grown.layer.labels[grown.new] < 0).sum())
    if grown.similar >= SMALLEST_GROUP:
        yield (
            f"{grown.similar:,} images in no cluster are similar to each other. To create clusters for them: "
            f"{workspace.command('assign --new-clusters')}"
        )
    elif assigned > _MANY_ASSIGNED * images or unsorted > max(_MANY_UNSORTED * new, SMALLEST_GROUP):
        yield (
            f"{assigned:,} of {images:,} images were added since the last clustering, and {unsorted:,} of the latest "
            f"{new:,} are unlike all clusters. A new clustering is advisable: {workspace.command('cluster')}"
        )


def _unchanged(
    workspace: Workspace,
    manifest: dict[str, Any],
    last: Results,
    requested: PlaceMode | None,
    watch: Stopwatch,
    on_progress: OnProgress,
    *,
    dry_run: bool,
) -> AssignSummary:
    """Return the summary where nothing is new; the files are placed again if another mode is requested."""
    summary, journal = _summary(workspace, last, watch, dry_run=dry_run), read_placement(workspace)
    if requested is None or requested == ("none" if journal is None else journal.mode):
        return dataclasses.replace(summary, place=requested or summary.place)
    placed = place_otherwise(workspace, last, journal, requested, on_progress, dry_run=dry_run)
    notes = tuple(about_files(placed, requested, manifest))
    return dataclasses.replace(summary, place=requested, **placed_fields(placed), seconds=watch.seconds, warnings=notes)


def _summary(workspace: Workspace, last: Results, watch: Stopwatch, *, dry_run: bool) -> AssignSummary:
    """Return the summary where nothing has changed."""
    metrics = {"quality": ""} | last.metrics | {"layers": tuple(last.metrics["layers"])}
    return AssignSummary(
        **{field.name: metrics[field.name] for field in dataclasses.fields(ClusteringMetrics)},
        workspace=workspace.name,
        clusters=tuple(map(row_of, last.table)),
        candidates=(),
        seed=int(metrics["options"].get("seed", 0)),
        place=metrics["options"].get("place", "symlink"),
        placed={},
        missing=0,
        report="" if dry_run else to_text(workspace.report),
        dry_run=dry_run,
        seconds=watch.seconds,
        warnings=(),
        assigned=0,
        unsorted=0,
        similar_unsorted=0,
        new_clusters=(),
        removed=0,
    )
