"""The check of `verify` of the placed files: each is where the journal says, and in the folder of its cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator

from imgcluster.commands.support.change_placed import with_companions
from imgcluster.commands.support.last_clustering import folder_names, placed_names
from imgcluster.commands.support.renamed_originals import other_files
from imgcluster.commands.support.verify_stored import Finding, Stored, note, problem
from imgcluster.fileio.path_text import from_text, to_text
from imgcluster.placement import NOISE_FOLDER, UNSORTED_FOLDER
from imgcluster.placement.plan import existing_names
from imgcluster.workspace.table_columns import row_of

__all__ = ["check_placement"]


def check_placement(stored: Stored) -> Iterator[Finding]:
    """Each placed file is in the folder of its cluster, and is a link to its original, a copy of it, or itself."""
    journal, results = stored.placement, stored.results
    folder = stored.workspace.clusters
    if journal is None:
        if stored.unreadable or not any(map(existing_names, folder.iterdir() if folder.is_dir() else ())):
            return
        yield problem(
            "placement", "files are placed, but their journal is missing", [to_text(folder)], repair="journal"
        )
        return
    yield from _check_entries(stored)
    if results is None or not stored.is_current or stored.embeddings is None:
        return
    folder_name = folder_names(stored.metrics)
    names = placed_names(stored.metrics.get("options", {}), map(row_of, results.table))
    files, clusters = with_companions(
        results.locations,
        results.clusters.tolist(),
        stored.embeddings.companions,
        without={} if stored.aside is None else {entry.source for entry in stored.aside.entries},
    )
    folders = {entry.source: from_text(entry.target).parent.name for entry in journal.entries}
    expected = {
        file: folder_name(cluster, names.get(cluster, "")) for file, cluster in zip(files, clusters, strict=True)
    }
    aliases = {NOISE_FOLDER, UNSORTED_FOLDER}
    elsewhere = [
        file
        for file, name in expected.items()
        if file in folders and folders[file] != name and not (name in aliases and folders[file] in aliases)
    ]
    if elsewhere:
        yield problem("placement", "these images are in the folder of another cluster", elsewhere, repair="placement")
    unplaced = [file for file in expected if file not in folders and os.path.isfile(from_text(file))]
    if unplaced:
        yield problem("placement", "these images are in no folder of a cluster", unplaced, repair="placement")


def _check_entries(stored: Stored) -> Iterator[Finding]:
    journal = stored.placement
    assert journal is not None
    lost, absent, other = [], [], []
    placed = () if journal.mode == "manifest" else journal.entries
    aside = () if stored.aside is None else stored.aside.entries
    embedded = None if stored.embeddings is None else stored.embeddings.files
    for number, entry in enumerate((*placed, *aside)):
        source, target = from_text(entry.source), from_text(entry.target)
        moved = journal.mode == "move" or number >= len(placed)
        if not os.path.lexists(target):
            if moved and not os.path.lexists(source):
                # After an embed without it, it is one that the user removed.
                if embedded is None or entry.source in embedded:
                    lost.append(entry.source)
            elif os.path.isfile(source):
                absent.append(entry.target)
        elif not moved and not _is_of(source, target):
            other.append(entry.target)
    if lost:
        remedy = "restore them from a backup, or run embed to remove them"
        yield problem("placement", "these moved images are at neither path", lost, remedy=remedy)
    if absent:
        yield problem("placement", "these placed files are missing", absent, repair="placement")
    if unknown := other_files(journal):
        remedy = "to add images, put them into a folder that embed searches"
        message = "imgcluster did not put these files into the folders of clusters, and does not use them"
        yield note("placement", message, list(map(to_text, unknown)), remedy=remedy)
    if other:
        yield note("placement", "these placed files are no longer links to, or copies of, their originals", other)


def _is_of(source: os.PathLike[str], target: os.PathLike[str]) -> bool:
    """Return whether a placed file is a link to its original or as large as it; True if there is no original."""
    if os.path.islink(target):
        return os.path.realpath(target) == os.path.realpath(source)
    try:
        return os.path.getsize(source) == os.path.getsize(target)
    except OSError:
        return True
