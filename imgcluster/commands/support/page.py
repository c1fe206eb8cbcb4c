"""Writing the page: what the workspace holds, made into what the page shows."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from imgcluster._version import __version__
from imgcluster.clustering import METHODS
from imgcluster.clustering.settings import METHOD_OPTIONS
from imgcluster.commands.support.findings import groups_of_copies, read_findings
from imgcluster.commands.support.placed_files import current_locations
from imgcluster.commands.support.projection import StartedProjection, finish_projection
from imgcluster.commands.support.thumbnails import read_tiles
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import write_text
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.path_text import from_text
from imgcluster.options import ClusterOptions
from imgcluster.placement import Journal
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.report.exemplars import nearest_clusters, representatives
from imgcluster.report.page import render
from imgcluster.report.page_content import Findings, Page, SkippedFiles, Thumbnails
from imgcluster.report.page_inputs import Tier, cluster_rows, image_rows, thumbnail_tiers
from imgcluster.report.page_text import details, headline, sentences
from imgcluster.report.projection import Projection
from imgcluster.report.sampling import sampled
from imgcluster.report.sprites import Tile, make_sheets
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.plans import identity_of
from imgcluster.workspace.results import Results, encoder_identity, encoder_metric
from imgcluster.workspace.shards import Embeddings, thumbnails

__all__ = ["write_page"]

# Skipped files that are listed for each reason.
_MOST_SKIPPED: Final = 20
# Shown under the page's details where they are not the defaults; where files are placed has no influence on clusters.
_SHOWN_OPTIONS: Final = ("k", "level", *METHOD_OPTIONS, "assign_noise", "reduce", "metric", "method")


def write_page(
    workspace: Workspace,
    results: Results,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    journal: Journal | None,
    *,
    output: Path | None = None,
    started_projection: StartedProjection | None = None,
    on_progress: OnProgress = ignore_progress,
) -> None:
    """Write the page of `results` and `embeddings`, which must be of the same images in the same order.

    Args:
        workspace: The workspace.
        results: The clustering.
        embeddings: Those of `with_normalized_lengths`.
        manifest: The manifest.
        journal: That of the placed files.
        output: The page's file; by default that of the workspace. With another one, nothing is written there.
        started_projection: What `begin_projection` returned, if it was begun before.
        on_progress: Called with each step.

    Raises:
        WorkspaceError: They are not.
    """
    if embeddings.locations != results.locations:
        raise WorkspaceError(f"the tables in {workspace.path} are not of its embeddings: run imgcluster cluster again")
    file, metrics = output or workspace.report, results.metrics
    read_only = output is not None
    findings = read_findings(workspace, results, embeddings, manifest, on_progress, read_only=read_only)
    shown = _representatives(results, embeddings, findings)
    nearest = nearest_clusters(embeddings.vectors, encoder_metric(manifest), results.clusters)
    files = current_locations(workspace, results.locations, journal)
    tiers = thumbnail_tiers(results.clusters, results.confidence, shown, int(embeddings.sizes.max(initial=1)))
    # The map is computed while thumbnails are read and compressed.
    seed = int(metrics["options"]["seed"])
    finish = finish_projection(
        workspace, embeddings, manifest, seed, started_projection, on_progress, read_only=read_only
    )
    sheets = _sheets(tiers, files, _stored(workspace, manifest, results.locations, tiers), on_progress)
    projection = finish()
    page = Page(
        identity=identity_of(results.paths, results.clusters),
        earlier=tuple(map(str, metrics.get("identities", ()))),
        applied_to=tuple(map(str, metrics.get("applied_to", ()))),
        title=headline(metrics),
        sentences=sentences(metrics),
        warnings=tuple(metrics.get("warnings", ())),
        facts=_facts(workspace, results, manifest, projection),
        clusters=cluster_rows(results.clusters, results.medoids, results.rows, shown, nearest),
        images=image_rows(
            None if workspace.url and output is None else file.parent,
            results.paths,
            results.locations,
            files,
            labels=results.clusters,
            runner_ups=results.runner_ups,
            confidence=results.confidence,
            distances=results.distances,
            sizes=embeddings.sizes,
            points=projection.points,
            decisions=_decisions(results),
            exif=embeddings.exif,
            base=results.base,
        ),
        thumbnails=sheets,
        skipped=_skipped(workspace),
        workspace_option=workspace.option,
        findings=findings,
        folder=results.base.rstrip("/").rpartition("/")[2] or results.base,
        made_by=f"Made with imgcluster {__version__}. This page loads nothing from the network.",
    )
    on_progress(Progress("report", 0))
    write_text(file, render(sampled(page)))


def _facts(
    workspace: Workspace, results: Results, manifest: dict[str, Any], projection: Projection
) -> tuple[tuple[str, str], ...]:
    """Return what the page says about how it was made."""
    metrics = results.metrics
    method = METHODS.get(metrics["method"])
    return (
        *details(
            metrics,
            manifest,
            method=method.title if method else str(metrics["method"]),
            options=_given_options(metrics["options"]),
            projection=projection.method,
        ),
        ("Images from", results.base or "several drives or servers"),
        ("Workspace", workspace.name),
    )


def _decisions(results: Results) -> dict[int, str]:
    """Return what the user decided about images, by row."""
    return {row: results.decisions[path] for row, path in enumerate(results.paths) if path in results.decisions}


def _skipped(workspace: Workspace) -> tuple[SkippedFiles, ...]:
    """Return the skipped files by reason, the most frequent first, with the paths of the first ones."""
    if not workspace.skipped.exists():
        return ()
    counts: Counter[str] = Counter()
    paths: dict[str, list[str]] = {}
    for row in read_table(workspace.skipped, ("path", "reason")):
        counts[row["reason"]] += 1
        if counts[row["reason"]] <= _MOST_SKIPPED:
            paths.setdefault(row["reason"], []).append(row["path"])
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(SkippedFiles(reason, count, tuple(paths[reason])) for reason, count in ordered)


def _given_options(options: dict[str, Any]) -> str:
    """Return the options that differ from their defaults, as on the command line."""
    defaults = dataclasses.asdict(ClusterOptions())
    given = {name: options[name] for name in _SHOWN_OPTIONS if options.get(name, defaults[name]) != defaults[name]}
    return " ".join(
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}") for name, value in given.items()
    )


def _representatives(results: Results, embeddings: Embeddings, findings: Findings) -> dict[int, list[int]]:
    """Return the images that the page shows of each cluster."""
    return representatives(
        embeddings.vectors,
        results.clusters,
        results.confidence,
        results.medoids,
        copies=groups_of_copies(embeddings, findings.duplicates),
        set_aside=np.isin(np.arange(len(results.locations)), findings.set_aside),
    )


def _stored(
    workspace: Workspace, manifest: dict[str, Any], locations: Sequence[str], tiers: list[Tier]
) -> dict[int, bytes]:
    """Return the stored thumbnails of the images of all tiers, by row."""
    rows = {locations[row]: row for tier in tiers for row in tier.images}
    stored = thumbnails(workspace.embeddings, encoder_identity(workspace, manifest), rows.keys())
    return {rows[location]: thumbnail for location, thumbnail in stored.items()}


def _sheets(
    tiers: list[Tier], files: list[str], stored: dict[int, bytes], on_progress: OnProgress
) -> tuple[Thumbnails, ...]:
    total = sum(len(tier.images) for tier in tiers)
    done = itertools.count(1)

    def read(tier: Tier) -> Iterator[Tile | None]:
        small = [stored.get(index, b"") for index in tier.images]
        for tile in read_tiles([from_text(files[index]) for index in tier.images], tier.side, small):
            on_progress(Progress("thumbnails", next(done), total))
            yield tile

    made = []
    for tier in tiers:
        sheets = list(make_sheets(read(tier), len(tier.images), tier.side, max_bytes=tier.max_bytes))
        columns = sheets[0].columns if sheets else 1
        missing = [number * columns**2 + position for number, sheet in enumerate(sheets) for position in sheet.missing]
        images = np.array(tier.images, np.int32)
        made.append(Thumbnails(tier.side, columns, images, tuple(missing), tuple(sheet.webp for sheet in sheets)))
    return tuple(made)
