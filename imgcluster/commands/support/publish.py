"""Publishing a clustering: placed files, tables and the page replace those of an earlier one, all or none."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgcluster._version import __version__
from imgcluster.clustering.changes import ClusterChange
from imgcluster.clustering.types import Candidate
from imgcluster.commands.support.change_placed import preview_placement, update_placement
from imgcluster.commands.support.last_clustering import placed_names
from imgcluster.commands.support.numbering import Earlier, write_earlier
from imgcluster.commands.support.originals import FILES_GONE_REMEDY, folders_of, returning_originals
from imgcluster.commands.support.page import write_page
from imgcluster.commands.support.projection import StartedProjection
from imgcluster.commands.support.steps import changing_results, is_repeated
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.fileio.atomic import remove
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import to_text
from imgcluster.placement import FolderName, Journal, PlacementResult, PlaceMode, folder_name
from imgcluster.progress import OnProgress
from imgcluster.wording import counted
from imgcluster.workspace.decisions import Decisions, as_json
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.result_tables import ClusteringTables
from imgcluster.workspace.results import IMPORTED
from imgcluster.workspace.table_columns import CANDIDATES, CHANGES

__all__ = ["ClusteringMetrics", "Evaluated", "about_files", "placed_fields", "publish", "summary_fields"]


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

    @property
    def fields(self) -> dict[str, Any]:
        """The values by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(ClusteringMetrics)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A clustering with all that is published of it.

    Attributes:
        options: The options that are recorded.
        mode: How files are placed.
        manifest: The workspace's manifest.
        tables: The tables; their embeddings are normalized as `write_page` needs them.
        facts: The metrics.
        silhouette_sample: The number of images that the mean silhouette was computed on.
        notes: The warnings before files are placed.
        remarks: What is neither good nor bad about the clusters, in sentences.
        command: The command, for `history`.
        summary: What it does, in words, for `history`.
        earlier: What was known before.
        decisions: What the user decided.
        changes: What became of the clusters before it; empty where there were none.
        about_changes: The same in words; "" if nothing changed.
        reassigned: The number of images of the last clustering that are in another cluster now.
        folder_name: The name of a cluster's folder.
        growth: What is recorded of a clustering that has grown.
    """

    options: Mapping[str, Any]
    mode: PlaceMode
    manifest: dict[str, Any]
    tables: ClusteringTables
    facts: ClusteringMetrics
    silhouette_sample: int
    notes: tuple[str, ...]
    command: str
    summary: str
    earlier: Earlier
    decisions: Decisions
    changes: tuple[ClusterChange, ...] = ()
    about_changes: str = ""
    reassigned: int = 0
    remarks: tuple[str, ...] = ()
    folder_name: FolderName = folder_name
    growth: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def warnings(self, placed: PlacementResult) -> tuple[str, ...]:
        """Return all warnings, those on placed files included."""
        return (*self.notes, *about_files(placed, self.mode, self.manifest))

    @property
    def result(self) -> str:
        """A digest of the command, the images, and their clusters, names and places, but not of the other options."""
        clustering, placed = self.tables.clustering, (self.mode, self.options.get("name_clusters"))
        facts = (__version__, self.command, placed, self.tables.embeddings.fingerprint, as_json(self.decisions))
        found = self.facts.fields | {"parameters": {}}, self.tables.rows, clustering.candidates
        text = json.dumps((facts, found), sort_keys=True, default=dataclasses.asdict)
        digest = hashlib.blake2b(text.encode(), digest_size=16)
        digest.update(self.tables.clusters.tobytes())
        digest.update(clustering.confidence.tobytes())
        return digest.hexdigest()

    def metrics(self, about_changes: str) -> dict[str, Any]:
        """Return the content of ``metrics.json`` without the warnings; `about_changes` may be other than its own."""
        return {
            "imgcluster": __version__,
            "fingerprint": self.tables.embeddings.fingerprint,
            "base": self.tables.base,
            "options": dict(self.options),
            "clusters": len(self.tables.rows),
            "silhouette_sample": self.silhouette_sample,
            **self.facts.fields,
            **({"changes": about_changes} if about_changes else {}),
            "result": self.result,
            **self.growth,
        }


def publish(
    workspace: Workspace,
    evaluated: Evaluated,
    journal: Journal | None,
    watch: Stopwatch,
    on_progress: OnProgress,
    started_projection: StartedProjection | None = None,
    *,
    dry_run: bool = False,
) -> PlacementResult:
    """Replace the results in the workspace, all or none, and the files placed by `journal`.

    The map is computed from `started_projection` if it was begun before (`begin_projection`). On a dry run only the
    check that moved originals can return is made.
    """
    tables, files = evaluated.tables, evaluated.tables.embeddings.files
    returned = returning_originals(journal, workspace.journal, evaluated.mode, files)
    if dry_run:
        return dataclasses.replace(preview_placement(workspace, evaluated.mode, files), returned=returned)
    before, result = workspace.read_metrics(), evaluated.result
    # A repeated step keeps what it changed the first time, and one that was killed had no clusters to change.
    repeats = is_repeated(workspace, result)
    about_changes = before.get("changes", "") if repeats or not before else evaluated.about_changes
    metrics = evaluated.metrics(about_changes)
    with changing_results(workspace, evaluated.command, evaluated.summary, metrics, operation=result):
        placed = update_placement(
            workspace,
            journal,
            evaluated.mode,
            tables.embeddings.locations,
            tables.clusters.tolist(),
            placed_names(evaluated.options, tables.rows),
            folder_name=evaluated.folder_name,
            companions=tables.embeddings.companions,
            renamed=evaluated.earlier.renamed(tables.embeddings),
            edited=evaluated.earlier.edited(tables.embeddings),
            on_progress=on_progress,
        )
        tables.write()
        if not repeats:
            _write_changes(workspace, evaluated.changes if before else (), tables.names)
        write_earlier(workspace, evaluated.earlier, tables.embeddings, tables.clusters, evaluated.decisions)
        _write_candidates(workspace, tables.clustering.candidates)
        remove(workspace.confusion_table)
        remove(workspace.confusion_picture)
        watch.lap("place")
        metrics |= {"warnings": list(evaluated.warnings(placed)), "remarks": list(evaluated.remarks)}
        results = tables.results(metrics)
        write_page(
            workspace,
            results,
            tables.embeddings,
            evaluated.manifest,
            placed.journal,
            started_projection=started_projection,
            on_progress=on_progress,
        )
        watch.lap("report")
        record = {"options": dict(evaluated.options), "clusters": len(tables.rows), **evaluated.facts.fields}
        record |= {"placed": placed.counts, "seconds": watch.stages}
        workspace.write_manifest(evaluated.manifest | {"cluster": record})
    return dataclasses.replace(placed, returned=returned)


def placed_fields(placed: PlacementResult) -> dict[str, Any]:
    """Return the fields of summaries about placed files."""
    return {
        "placed": placed.counts,
        "missing": len(placed.missing) + len(placed.broken),
        "returned": len(placed.returned),
        "returned_to": folders_of(placed.returned),
    }


def summary_fields(
    workspace: Workspace, evaluated: Evaluated, placed: PlacementResult, watch: Stopwatch, *, dry_run: bool
) -> dict[str, Any]:
    """Return the fields of `ClusterSummary` for a clustering that was published, or would be."""
    return {
        **evaluated.facts.fields,
        "workspace": workspace.name,
        "clusters": evaluated.tables.rows,
        "candidates": evaluated.tables.clustering.candidates,
        "seed": int(evaluated.options["seed"]),
        "place": evaluated.mode,
        **placed_fields(placed),
        "report": "" if dry_run else to_text(workspace.report),
        "dry_run": dry_run,
        "seconds": watch.seconds,
        "warnings": evaluated.warnings(placed),
        "changes": evaluated.changes,
        "reassigned": evaluated.reassigned,
        "remarks": evaluated.remarks,
    }


def _write_changes(workspace: Workspace, changes: Sequence[ClusterChange], names: Mapping[int, str]) -> None:
    """Write ``changes.csv``; without changes there is none."""
    if not changes:
        remove(workspace.changes_table)
        return
    rows = (
        [
            *(change.cluster, names.get(change.cluster, ""), change.change, change.size_before, change.size),
            *(change.stayed, change.new_images, change.removed_images),
            *(" ".join(f"{number}:{count}" for number, count in flow) for flow in (change.came_from, change.went_to)),
        ]
        for change in changes
    )
    write_table(workspace.changes_table, CHANGES, rows)


def _write_candidates(workspace: Workspace, candidates: Sequence[Candidate]) -> None:
    if not candidates:
        remove(workspace.candidates_table)
        remove(workspace.candidates_picture)
        return
    from imgcluster.report.plots import candidates_figure, save

    write_table(workspace.candidates_table, CANDIDATES, (dataclasses.astuple(candidate) for candidate in candidates))
    save(candidates_figure(candidates), workspace.candidates_picture)


def about_files(placed: PlacementResult, mode: str, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what the user should know about placed files, in whole sentences."""
    if manifest.get("state") != "embedded":
        yield "The last embed was interrupted, so images are missing here; run the same embed command to complete it."
    others = sorted(set(placed.counts) - {mode})
    if others:
        yield f"This file system does not allow every {mode}; some files were placed by {' and '.join(others)} instead."
    yield from filter(None, [placed.about_hard_links])
    if placed.broken:
        yield (
            f"The files of {counted(len(placed.broken), 'placed link')} no longer exist; the first is "
            f"{placed.broken[0]}. To correct this, {FILES_GONE_REMEDY}."
        )
    if placed.missing and manifest["encoder"]["name"] == IMPORTED:
        lacking = counted(len(placed.missing), "image")
        yield f"The folders lack {lacking} without a file; the first is {placed.missing[0]}."
        return
    remote = [location for location in placed.missing if url_of(location)]
    if remote:
        yield (
            f"The folders lack {counted(len(remote), 'image')} from object storage or web servers; "
            "--place manifest says where each belongs."
        )
    missing = [location for location in placed.missing if not url_of(location)]
    if missing:
        yield (
            f"The folders lack {counted(len(missing), 'image')} whose file no longer exists; the first is "
            f"{missing[0]}. To correct this, {FILES_GONE_REMEDY}."
        )
