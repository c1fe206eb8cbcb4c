"""The repairs of `verify`: each rebuilds one file, or one kind of placed files, from what else is recorded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from imgcluster._version import __version__
from imgcluster.commands.last_clustering import folder_names, placed_names
from imgcluster.commands.replace_results import update_placement
from imgcluster.commands.signatures import content_digests
from imgcluster.commands.steps import recover, rewrite_page
from imgcluster.commands.stored_values import Stored
from imgcluster.fileio.atomic import is_link, make_folder, write_json
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement import Journal
from imgcluster.placement.journal import Entry, write_journal
from imgcluster.placement.place import mode_of
from imgcluster.placement.plan import existing_names, free_name
from imgcluster.progress import OnProgress
from imgcluster.workspace.decisions import DecidedImage, Decisions, write_decisions
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.known_clusters import NOTHING_KNOWN, write_known_clusters
from imgcluster.workspace.results import IMPORTED, SORT, read_tables
from imgcluster.workspace.table_columns import row_of

__all__ = ["REPAIRS", "keep_damaged"]

Repair = Callable[[Stored, OnProgress], Iterator[str]]
"""Repairs a workspace, and yields what was done, in sentences."""


def keep_damaged(workspace: Workspace, path: Path) -> str:
    """Move a file that cannot be read to the folder ``outdated``, under a free name, and return what was done."""
    make_folder(workspace.outdated, within=workspace.path)
    kept = workspace.outdated / free_name(path.name, dict.fromkeys(existing_names(workspace.outdated), 1))
    os.rename(path, kept)
    return f"{path.name} cannot be read; it was moved to {kept}."


def repair_step(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Undo an interrupted step."""
    recover(stored.workspace, stored.manifest, on_progress=on_progress)
    yield "The interrupted step was undone; run it again."


def repair_shards(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Move damaged shards away, so that `embed` computes their vectors again."""
    for finding in stored.unreadable:
        if finding.check == "shards":
            yield from (keep_damaged(stored.workspace, from_text(path)) for path in finding.paths)


def repair_manifest(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Count the images again."""
    if stored.embeddings is None or stored.skipped is None:
        return
    embedded, skipped = len(stored.embeddings.locations), len(stored.skipped)
    counts = {"found": embedded + skipped, "embedded": embedded, "skipped": skipped}
    record = {"counts": counts, "fingerprint": stored.embeddings.fingerprint}
    stored.workspace.write_manifest(stored.manifest | record)
    yield "The counts in manifest.json were corrected."


def repair_metrics(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Write ``metrics.json`` again, from the manifest's record of the clustering and the tables."""
    workspace, record = stored.workspace, stored.manifest.get("cluster", {})
    if "method" not in record or stored.embeddings is None:
        return
    base = str(stored.manifest.get("base", ""))
    results = read_tables(workspace, {"base": base})
    if results.locations != stored.embeddings.locations:
        return
    numbers = np.unique(results.clusters[results.clusters >= 0])
    later = [state.command for state in stored.states or () if state.complete and state.command != "apply"]
    metrics = {
        **{name: value for name, value in record.items() if name not in ("placed", "seconds")},
        "imgcluster": __version__,
        "fingerprint": stored.embeddings.fingerprint,
        "base": base,
        "images": len(results.paths),
        "clusters": len(numbers),
        "noise": int((results.clusters < 0).sum()),
        "silhouette_sample": len(results.paths),
        **({"assigned": 0} if later[-1:] == ["assign"] else {}),
    }
    yield keep_damaged(workspace, workspace.metrics)
    write_json(workspace.metrics, metrics)
    yield "metrics.json was written again, without the scores of evaluate."


def repair_journal(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Write the journal of the placed files again: links by where they lead, other files by their content."""
    workspace = stored.workspace
    if stored.embeddings is None:
        return
    files = list(_placed_files(workspace.clusters))
    sources = _sources(stored, files, on_progress)
    mode = _mode(sources)
    entries = tuple(
        Entry(source, to_text(file))
        for file, source in sources.items()
        if mode != "move" or not os.path.lexists(from_text(source))
    )
    if not entries:
        return
    if workspace.journal.exists():
        yield keep_damaged(workspace, workspace.journal)
    # Tables and shards, from which it follows, may be from a stranger.
    journal = Journal(mode, to_text(workspace.clusters), entries, signed=False)  # type: ignore[arg-type]
    write_journal(journal, workspace.journal)
    yield f"The journal of {len(entries):,} of {len(files):,} placed files was written again."


def _placed_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for inner in sorted(path for path in folder.iterdir() if path.is_dir() and not is_link(path)):
            yield from sorted(path for path in inner.iterdir() if path.is_symlink() or path.is_file())


def _sources(stored: Stored, files: list[Path], on_progress: OnProgress) -> dict[Path, str]:
    """Return the image that each placed file is, as far as it is known; each image once."""
    embeddings = stored.embeddings
    assert embeddings is not None
    by_path = {os.path.realpath(from_text(file)): file for file in sorted(embeddings.files)}
    links = {file: by_path.get(os.path.realpath(file)) for file in files if file.is_symlink()}
    found = {file: source for file, source in links.items() if source is not None}
    others = [file for file in files if not file.is_symlink()]
    unused = sorted(embeddings.files - set(found.values()))
    if stored.manifest.get("encoder", {}).get("name") == IMPORTED:
        return found
    digests = dict(zip(embeddings.locations, embeddings.digests, strict=True))
    by_digest: dict[bytes, list[str]] = {}
    for location in unused:
        # The second files of pairs have no digest; they are known by their names.
        by_digest.setdefault(digests.get(location) or os.fsencode(from_text(location).name), []).append(location)
    for file, digest in zip(others, content_digests(others, on_progress), strict=True):
        candidates = by_digest.get(digest) or by_digest.get(os.fsencode(file.name)) or []
        same_name = [location for location in candidates if from_text(location).name == file.name]
        if candidates:
            found[file] = (same_name or candidates)[0]
            candidates.remove(found[file])
    return dict(sorted(found.items()))


def _mode(sources: Mapping[Path, str]) -> str:
    """Return how files were placed: originals that are missing were moved."""
    if any(not os.path.lexists(from_text(source)) and not file.is_symlink() for file, source in sources.items()):
        return "move"
    modes = {mode_of(from_text(source), file, "copy") for file, source in sources.items()}
    return next((mode for mode in ("symlink", "hardlink") if mode in modes), "copy")


def repair_known(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Record the images of all clusters again, from the tables."""
    workspace, results, embeddings = stored.workspace, stored.results, stored.embeddings
    if stored.known is None:
        yield keep_damaged(workspace, workspace.known_clusters)
    if results is None or embeddings is None or results.locations != embeddings.locations:
        return
    decisions = stored.decisions or Decisions()
    known = (stored.known or NOTHING_KNOWN).after(
        results.clusters, embeddings.digests, embeddings.locations, keep={*decisions.names, *decisions.shaped}
    )
    write_known_clusters(workspace.known_clusters, known)
    yield "known_clusters.parquet was written again, from the tables."


def repair_decisions(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Record names and decisions about images that only the tables have."""
    workspace, results, embeddings = stored.workspace, stored.results, stored.embeddings
    if results is None or embeddings is None or results.locations != embeddings.locations:
        return
    decisions = stored.decisions
    if decisions is None:
        yield keep_damaged(workspace, workspace.decisions)
        decisions = Decisions()
    keys = dict(zip(results.paths, zip(embeddings.digests, embeddings.locations, strict=True), strict=True))
    clusters = dict(zip(results.paths, results.clusters.tolist(), strict=True))
    decided = decisions.rows(embeddings.digests, embeddings.locations)
    known = {results.paths[row] for row in decided}
    images = {
        keys[path]: DecidedImage(clusters[path], kind)  # type: ignore[arg-type]
        for path, kind in results.decisions.items()
        if path not in known
    }
    names = {} if results.metrics.get("method") == SORT else results.names
    write_decisions(
        workspace.decisions,
        dataclasses.replace(decisions, names={**names, **decisions.names}, images={**decisions.images, **images}),
    )
    yield f"{len(names)} names and {len(images)} decisions were taken from the tables, which have no merges."


def repair_placement(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Place missing files again, and move files to the folders of their clusters."""
    results, journal, embeddings = stored.results, stored.placement, stored.embeddings
    if results is None or journal is None or embeddings is None or not stored.is_current:
        return
    update_placement(
        stored.workspace,
        journal,
        journal.mode,
        results.locations,
        results.clusters.tolist(),
        placed_names(stored.metrics.get("options", {}), map(row_of, results.table)),
        folder_name=folder_names(stored.metrics),
        companions=embeddings.companions,
        on_progress=on_progress,
    )
    yield "Missing files were placed again, and others moved to the folders of their clusters."


def repair_page(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Write the page again."""
    if stored.results is not None:
        rewrite_page(stored.workspace, stored.results, on_progress)
        yield "The page was written again."


REPAIRS: Final[Mapping[str, Repair]] = MappingProxyType(
    {
        "step": repair_step,
        "shards": repair_shards,
        "manifest": repair_manifest,
        "metrics": repair_metrics,
        "journal": repair_journal,
        "known": repair_known,
        "decisions": repair_decisions,
        # Between these, the clustering is repeated.
        "clustering": lambda stored, on_progress: iter(()),
        "placement": repair_placement,
        "page": repair_page,
    }
)
"""In the order in which they are made: later ones use what earlier ones rebuilt."""
