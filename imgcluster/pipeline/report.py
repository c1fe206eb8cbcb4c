"""`report`: the page, written from what the workspace holds."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imgcluster._version import __version__
from imgcluster.pathtext import from_text, to_text
from imgcluster.pipeline.embed import DEFAULT_WORKSPACE
from imgcluster.pipeline.results import Results, encoder_identity, read_results, read_tables
from imgcluster.placement import read_journal
from imgcluster.progress import Progress, Report, silent
from imgcluster.report.content import Cluster, Member, Page, choose_members, overview
from imgcluster.report.page import render
from imgcluster.report.thumbnails import thumbnails
from imgcluster.store.atomic import write_text
from imgcluster.store.tables import read_table
from imgcluster.store.workspace import Workspace

__all__ = ["report_page", "write_page"]


def report_page(*, workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE, report: Report = silent) -> str:
    """Write the page again from the workspace and return its path as text.

    Raises:
        WorkspaceError: Nothing is clustered, the clusters are older than the embeddings, or another process works
            in the workspace.
    """
    space = Workspace(workspace)
    encoder_identity(space)  # refuses a folder that is not there, which the lock would make
    with space.locked():
        _write(space, read_results(space), report)
    return to_text(space.report)


def write_page(space: Workspace, metrics: dict[str, Any], *, report: Report = silent) -> None:
    """Write the page from the tables in the workspace and `metrics`, which need not be on disk yet."""
    _write(space, read_tables(space, metrics), report)


def _write(space: Workspace, results: Results, report: Report) -> None:
    chosen = choose_members(results.clusters, results.confidence, results.medoids)
    moved = _moved_to(space)
    shown = [index for inside in chosen.values() for index in inside]
    places = {index: moved.get(results.locations[index], from_text(results.locations[index])) for index in shown}
    members = {}
    report(Progress("report", 0, len(shown)))
    pictures = thumbnails([places[index] for index in shown])
    for done, (index, picture) in enumerate(zip(shown, pictures, strict=True), start=1):
        members[index] = Member(
            path=results.paths[index],
            link=_link(places[index], space.path),
            thumbnail=picture,
            confidence=float(results.confidence[index]),
            is_medoid=bool(results.medoids[index]),
        )
        report(Progress("report", done, len(shown)))
    facts = {int(row["cluster"]): row for row in results.table}
    clusters = []
    for number, inside in chosen.items():
        size = int((results.clusters == number).sum())
        clusters.append(
            Cluster(
                number=number,
                title="Noise" if number < 0 else f"Cluster {number}",
                size=size,
                share=size / len(results.clusters),
                facts=_facts(facts.get(number)),
                members=tuple(members[index] for index in inside),
            )
        )
    manifest = space.manifest
    skipped = Counter(row["reason"] for row in read_table(space.skipped, ("reason",))) if space.skipped.exists() else {}
    page = Page(
        title=f"{len(facts)} clusters of {len(results.clusters):,} images" if len(facts) != 1 else "One cluster",
        sentences=(*overview(results.metrics, manifest, int((results.clusters < 0).sum())), f"From {results.base}."),
        warnings=tuple(results.metrics.get("warnings", ())),
        clusters=tuple(clusters),
        skipped=tuple(sorted(skipped.items(), key=lambda item: (-item[1], item[0]))),
        made_by=f"Made by imgcluster {__version__}, on this computer; this page loads nothing from the network.",
    )
    write_text(space.report, render(page))


def _facts(row: dict[str, str] | None) -> tuple[str, ...]:
    if row is None:
        return ("images that are similar to no group of others",)
    silhouette = f"silhouette {float(row['silhouette']):.2f}" if row["silhouette"] else "silhouette not defined"
    return (silhouette, f"mean distance to the most typical image {float(row['mean_distance']):.2f}")


def _moved_to(space: Workspace) -> dict[str, Path]:
    journal = read_journal(space.journal)
    if journal is None or journal.mode != "move":
        return {}
    return {entry.source: from_text(entry.target) for entry in journal.entries}


def _link(path: Path, folder: Path) -> str:
    """Return a link to a file that works from a page in `folder`, for as long as both keep their places."""
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # another drive of Windows
        return path.as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))
