"""`verify`: check what a workspace records against itself and the files, and rebuild what can be rebuilt."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from imgcluster._version import __version__
from imgcluster.clustering import METHODS
from imgcluster.commands.cluster import cluster
from imgcluster.commands.support.cluster_request import fit_clusters, resolve
from imgcluster.commands.support.measures import measure_clusters
from imgcluster.commands.support.naming import is_vocabulary_file
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.numbering import number_clusters
from imgcluster.commands.support.signatures import content_digests
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.commands.support.verify_checks import (
    CHECKS,
    check_contents,
    check_repeated,
    comparable_rows,
    has_row_for_each_image,
)
from imgcluster.commands.support.verify_repair import REPAIRS
from imgcluster.commands.support.verify_stored import Finding, Stored, read_stored
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.fileio.csv_tables import field, read_table
from imgcluster.fileio.path_text import from_text
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.folder import FORMAT, Workspace
from imgcluster.workspace.result_tables import ClusteringTables
from imgcluster.workspace.results import with_options
from imgcluster.workspace.table_columns import ASSIGNMENTS

__all__ = ["Finding", "VerifySummary", "verify"]

_CLUSTERING: Final = "clustering"
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySummary:
    """What `verify` found.

    Attributes:
        workspace: The workspace folder.
        format: The version of its format.
        images: Embedded images.
        read: Images whose content was compared.
        consistent: Whether there is no problem, or none is left after repairs.
        findings: Problems and notes.
        repaired: What was repaired, in sentences.
        reassigned: With `rerun`, the images that the repeated clustering puts elsewhere; None if it was not repeated.
        seconds: Wall-clock time.
    """

    workspace: str
    format: int
    images: int
    read: int
    consistent: bool
    findings: tuple[Finding, ...]
    repaired: tuple[str, ...]
    reassigned: int | None
    seconds: float


@in_object_storage_too
def verify(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    quick: bool = False,
    rerun: bool = False,
    repair: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> VerifySummary:
    """Check shards, counts, files, tables, placed files, decisions, saved states and the page against each other.

    Args:
        workspace: The workspace folder.
        quick: Compare size and time of the images' files, but do not read them.
        rerun: Repeat the clustering, and compare.
        repair: Rebuild what can be rebuilt. Images and decisions are never removed; files that cannot be read move to
            the folder ``outdated``.
        on_progress: Called with each step.

    Raises:
        WorkspaceError: The workspace does not exist, is of a newer version, or another process uses it.
    """
    watch = Stopwatch()
    workspace = Workspace(workspace)
    workspace.require_initialized()
    repaired = _repair(workspace, on_progress) if repair else []
    with workspace.locked(read_only=True, even_damaged=True) as manifest:
        stored, findings, read, changed = _check(workspace, manifest, quick=quick, rerun=rerun, on_progress=on_progress)
    images = 0 if stored.embeddings is None else len(stored.embeddings.locations)
    return VerifySummary(
        workspace=workspace.name,
        format=int(manifest.get("format", FORMAT)),
        images=images,
        read=read,
        consistent=not any(finding.level == "problem" for finding in findings),
        findings=findings,
        repaired=tuple(repaired),
        reassigned=changed,
        seconds=watch.seconds,
    )


def _check(
    workspace: Workspace, manifest: dict[str, Any], *, quick: bool, rerun: bool, on_progress: OnProgress
) -> tuple[Stored, tuple[Finding, ...], int, int | None]:
    """Run all checks, and return what was read, the findings, and the numbers of files read and reassigned images."""
    on_progress(Progress("load", 0))
    stored = read_stored(workspace, manifest)
    findings = list(_findings(stored))
    rows = [] if quick else comparable_rows(stored)
    if stored.embeddings is not None and rows:
        locations = stored.embeddings.locations
        files = [from_text(stored.moved.get(locations[row], locations[row])) for row in rows]
        findings += check_contents(stored, dict(zip(rows, content_digests(files, on_progress), strict=True)))
    if not rerun:
        return stored, tuple(findings), len(rows), None
    on_progress(Progress("cluster", 0))
    repeated = _repeat_clustering(stored)
    if repeated is not None:
        findings += check_repeated(stored, *repeated, __version__)
        return stored, tuple(findings), len(rows), len(repeated[0])
    why = "the clustering cannot be repeated: it is missing, outdated, or made or extended by sort or assign"
    findings.append(Finding(check="rerun", level="note", message=why))
    return stored, tuple(findings), len(rows), None


def _findings(stored: Stored) -> Iterator[Finding]:
    """Yield what can be found without reading the images."""
    yield from stored.unreadable
    for check in CHECKS:
        yield from check(stored)


def _repair(workspace: Workspace, on_progress: OnProgress) -> list[str]:
    """Make one repair after the other, each after new checks, and return what was done."""
    done: list[str] = []
    left = list(REPAIRS)
    while True:
        with workspace.locked(even_damaged=True) as manifest:
            on_progress(Progress("load", 0))
            stored = read_stored(workspace, manifest)
            requested = {finding.repair for finding in _findings(stored)}
            name = next((name for name in left if name in requested), None)
            if name is None:
                return done
            made = list(REPAIRS[name](stored, on_progress))
            done += made
            options = _options(stored)
        # No repair is tried twice, also if it did not help.
        left.remove(name)
        if name == _CLUSTERING and options is not None and not made:
            # It locks the workspace itself.
            cluster(workspace=workspace.path, options=options, on_progress=on_progress)
            done.append("The clustering was repeated, with all tables and the page.")


def _options(stored: Stored) -> ClusterOptions | None:
    """Return the options of the clustering; None if they are not known, or the images were sorted into groups.

    The workspace may be a stranger's: what it records reads no other file, and moves no originals that lie elsewhere.
    """
    record = stored.metrics
    if record.get("method") not in METHODS:
        return None
    options = record.get("options")
    if not isinstance(options, Mapping):
        return None
    names = {field.name for field in dataclasses.fields(ClusterOptions)}
    known = {name: value for name, value in options.items() if name in names}
    if is_vocabulary_file(known.get("vocabulary")):
        known["vocabulary"] = None
    if known.get("place") == "move":
        # The present journal, which is signed, says whether they are moved.
        known["place"] = None if stored.placement is not None else "none"
    try:
        return ClusterOptions(**known)
    except (TypeError, ValueError, UsageError):
        return None


def _repeat_clustering(stored: Stored) -> tuple[list[str], list[str]] | None:
    """Repeat the clustering, and compare its table with the present one; None if it cannot be repeated.

    Returns:
        The paths of the images that it puts into other clusters, and those of other images with other values.
    """
    options, embeddings, results, earlier = _options(stored), stored.embeddings, stored.results, stored.earlier
    if options is None or embeddings is None or results is None or earlier is None:
        return None
    if "assigned" in stored.metrics or not has_row_for_each_image(stored):
        return None
    request = resolve(options)
    manifest = with_options(stored.manifest, dataclasses.asdict(options))
    fit = fit_clusters(embeddings, manifest, request)
    clustering = fit.clustering.at(options.level)
    try:
        numbered = number_clusters(clustering, fit.stability[clustering.chosen], earlier, embeddings.locations)
    except WorkspaceError:
        # Decisions have no counterpart in it, so it is another clustering.
        return results.paths, []
    differs = numbered.clusters != results.clusters
    reassigned = [results.paths[row] for row in np.flatnonzero(differs)]
    if reassigned or _is_changed_by_plan(stored):
        # Then the other values are those of other clusters.
        return reassigned, []
    embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    tables = ClusteringTables(
        stored.workspace,
        manifest,
        embeddings,
        numbered.clustering,
        measure_clusters(stored.workspace, manifest, embeddings, numbered.clustering.labels),
        numbered.stability,
        numbers=numbered.numbers.tolist(),
        decisions=earlier.kinds(numbered.decisions),
    )
    return reassigned, list(_changed_rows(tables, stored.workspace.assignments))


def _is_changed_by_plan(stored: Stored) -> bool:
    """Return whether a plan was applied since the clustering, or this is not known."""
    if stored.states is None:
        return True
    commands = [state.command for state in stored.states if state.complete and state.command in ("apply", "cluster")]
    return commands[-1:] == ["apply"]


def _changed_rows(tables: ClusteringTables, path: Path) -> Iterator[str]:
    """Yield the paths of the images whose row in the table at `path` has other values than in `tables`."""
    columns = tables.assignment_columns
    for repeated, row in zip(tables.assignments(), read_table(path, ASSIGNMENTS), strict=True):
        if row.keys() != set(columns) or any(
            not _is_same(name, value, row[name]) for name, value in zip(columns, repeated, strict=True)
        ):
            yield row["path"]


def _is_same(column: str, repeated: Any, text: str) -> bool:
    if field(repeated) == field(text):
        return True
    try:
        # The last digits can differ on another processor.
        return column in ("confidence", "distance") and abs(float(repeated) - float(text)) < _TOLERANCE
    except (TypeError, ValueError):
        return False
