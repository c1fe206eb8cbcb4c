"""The repairs of `verify`: each rebuilds one file, or one kind of placed files, from what else is recorded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from imgcluster.clustering.changes import ABSENT
from imgcluster.clustering.types import Clustering, Layer
from imgcluster.commands.support.change_placed import place_results
from imgcluster.commands.support.measures import measure_clusters
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.numbering import read_earlier, write_earlier
from imgcluster.commands.support.repair_records import keep_damaged, repair_manifest, repair_metrics, repair_skipped
from imgcluster.commands.support.signatures import content_digests
from imgcluster.commands.support.steps import recover, rewrite_page
from imgcluster.commands.support.verify_stored import Stored
from imgcluster.fileio.atomic import is_link, remove, write_json
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement import Journal
from imgcluster.placement.journal import Entry, write_journal
from imgcluster.placement.place import mode_of
from imgcluster.progress import OnProgress
from imgcluster.wording import counted
from imgcluster.workspace.decisions import DecidedImage, Decisions, write_decisions
from imgcluster.workspace.known_clusters import NOTHING_KNOWN, write_known_clusters
from imgcluster.workspace.result_tables import ClusteringTables, rounded
from imgcluster.workspace.results import IMPORTED, SORT, with_options
from imgcluster.workspace.states import interrupted_state

__all__ = ["REPAIRS"]

Repair = Callable[[Stored, OnProgress], Iterator[str]]
"""Repairs a workspace, and yields what was done, in sentences."""


def repair_step(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Undo an interrupted step, or complete it if only ``metrics.json`` is missing."""
    state = interrupted_state(stored.workspace)
    recover(stored.workspace, stored.manifest, on_progress=on_progress)
    if state is not None and state.metrics is not None:
        yield "The last step was complete but for metrics.json, which was written again."
    else:
        yield "The interrupted step was undone; run it again."


def repair_shards(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Move damaged shards away, so that `embed` computes their vectors again."""
    for finding in stored.unreadable:
        if finding.check == "shards":
            for path in map(from_text, finding.paths):
                yield keep_damaged(stored.workspace, path)
                remove(path)


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
    sources = {file: source for file, source in links.items() if source is not None}
    others = [file for file in files if not file.is_symlink()]
    unused = sorted(embeddings.files - set(sources.values()))
    if stored.manifest.get("encoder", {}).get("name") == IMPORTED:
        return sources
    digests = dict(zip(embeddings.locations, embeddings.digests, strict=True))
    by_digest: dict[bytes, list[str]] = {}
    for location in unused:
        # The second files of pairs have no digest; they are known by their names.
        by_digest.setdefault(digests.get(location) or os.fsencode(from_text(location).name), []).append(location)
    for file, digest in zip(others, content_digests(others, on_progress), strict=True):
        candidates = by_digest.get(digest) or by_digest.get(os.fsencode(file.name)) or []
        same_name = [location for location in candidates if from_text(location).name == file.name]
        if candidates:
            sources[file] = (same_name or candidates)[0]
            candidates.remove(sources[file])
    return dict(sorted(sources.items()))


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
        remove(workspace.known_clusters)
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
    known = set() if stored.earlier is None else {results.paths[row] for row in stored.earlier.decided}
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
    taken = f"{counted(len(names), 'name')} and {counted(len(images), 'decision')}"
    yield f"Names and decisions come from the tables, which have no merges: {taken}."


def repair_tables(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Write the tables of a clustering that `assign` has extended from the known clusters; others are repeated."""
    workspace, embeddings, decisions, known = stored.workspace, stored.embeddings, stored.decisions, stored.known
    if "assigned" not in stored.metrics or stored.metrics["method"] == SORT:
        return
    if embeddings is None or decisions is None or known is None or not len(known.clusters):
        return
    earlier = read_earlier(workspace, embeddings)
    labels, confidence = earlier.clusters, np.zeros(len(earlier.clusters), np.float32)
    numbers = np.unique(labels[labels >= 0])
    if not len(numbers) or (labels == ABSENT).any():
        return
    for row, key in earlier.decided.items():
        labels[row] = number if (number := decisions.images[key].cluster) in numbers else labels[row]
        confidence[row] = float(labels[row] >= 0)
    numbers = np.unique(labels[labels >= 0])
    compact = np.where(labels >= 0, np.searchsorted(numbers, labels), -1)
    manifest = with_options(stored.manifest, stored.metrics["options"])
    embeddings = with_normalized_lengths(embeddings, manifest, in_place=True)
    measures = measure_clusters(workspace, manifest, embeddings, compact)
    tables = ClusteringTables(
        workspace,
        manifest,
        embeddings,
        Clustering((Layer(compact, confidence, np.full(len(labels), -1)),), 0, {}),
        measures,
        [None] * len(numbers),
        numbers=numbers.tolist(),
        names=decisions.names,
        decisions=earlier.kinds(decisions),
    )
    tables.write()
    write_earlier(workspace, earlier, embeddings, labels, decisions)
    counts = {"images": len(labels), "clusters": len(numbers), "noise": int((labels < 0).sum())}
    metrics = stored.metrics | counts | {"layers": [len(numbers)], "layer": 0}
    metrics |= {"fingerprint": embeddings.fingerprint, "base": tables.base, "silhouette": rounded(measures.silhouette)}
    write_json(workspace.metrics, metrics)
    rewrite_page(workspace, tables.results(metrics), on_progress, embeddings=embeddings)
    yield "The tables and the page were written again from known_clusters.parquet, without confidence and stability."


def repair_placement(stored: Stored, on_progress: OnProgress) -> Iterator[str]:
    """Place missing files again, and move files to the folders of their clusters."""
    results, journal, embeddings = stored.results, stored.placement, stored.embeddings
    if results is None or journal is None or embeddings is None or not stored.is_current:
        return
    place_results(stored.workspace, journal, journal.mode, results, embeddings.companions, on_progress)
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
        "skipped": repair_skipped,
        "metrics": repair_metrics,
        "journal": repair_journal,
        "known": repair_known,
        "decisions": repair_decisions,
        # Where this does nothing, the clustering is repeated.
        "clustering": repair_tables,
        "placement": repair_placement,
        "page": repair_page,
    }
)
"""In the order in which they are made: later ones use what earlier ones rebuilt."""
