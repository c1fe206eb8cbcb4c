"""The checks of `verify`: each compares values that a workspace records with each other, or with files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from imgcluster.commands.support.originals import FILES_GONE_REMEDY
from imgcluster.commands.support.verify_placement import check_placement
from imgcluster.commands.support.verify_stored import Finding, Stored, note, problem
from imgcluster.features.blocks import blocks
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import from_text, relative_path, to_text
from imgcluster.images.found import storable_time
from imgcluster.workspace.plans import identity_of
from imgcluster.workspace.results import IMPORTED, SORT, base_folder
from imgcluster.workspace.states import archive_folder, interrupted_state
from imgcluster.workspace.table_columns import row_of

__all__ = ["CHECKS", "check_contents", "check_repeated", "comparable_rows", "has_row_for_each_image"]

# The tables have four digits.
_DIGIT: Final = 1e-4


def _again(stored: Stored) -> str:
    return f"run the same {'import' if _is_imported(stored) else 'embed'} command again"


def check_shards(stored: Stored) -> Iterator[Finding]:
    """All shards are of the workspace's encoder, and all values of the vectors are finite."""
    if stored.foreign:
        yield problem(
            "shards",
            "these shards are of another encoder than the manifest names",
            _texts(stored.foreign),
            remedy=_again(stored),
        )
    if stored.embeddings is not None:
        wrong = np.zeros(len(stored.embeddings.locations), dtype=bool)
        for rows, vectors in blocks(stored.embeddings.vectors):
            wrong[rows] = ~np.isfinite(vectors).all(axis=1)
        if wrong.any():
            paths = [stored.embeddings.locations[row] for row in np.flatnonzero(wrong)]
            yield problem("shards", "the vectors of these images are not finite", paths, remedy="embed them --fresh")


def check_counts(stored: Stored) -> Iterator[Finding]:
    """The manifest's counts add up, and are those of the shards and of ``skipped.csv``."""
    if stored.embeddings is None:
        return
    if stored.manifest.get("state") != "embedded":
        yield note("counts", "the last embed was interrupted, so images may be missing", remedy=_again(stored))
        return
    if "counts" not in stored.manifest:
        # Vectors of another program have no counts.
        return
    counts = stored.manifest["counts"]
    if stored.skipped is None:
        if not stored.workspace.skipped.exists():
            # Without skipped images it has no row.
            how = {"remedy": _again(stored)} if counts["skipped"] else {"repair": "skipped"}
            yield problem("counts", "skipped.csv is missing", **how)
        return
    paths = [row["path"] for row in stored.skipped]
    embedded, skipped = len(stored.embeddings.locations), len(paths)
    present = {"found": embedded + skipped, "embedded": embedded, "skipped": skipped}
    # What is lost is not counted away: its images have to be read again.
    lost = counts["embedded"] > embedded or counts["skipped"] > skipped
    how = {"remedy": _again(stored)} if lost else {"repair": "manifest"}
    if counts != present:
        message = f"the manifest counts {_listed(counts)}; the shards and skipped.csv have {_listed(present)}"
        yield problem("counts", message, **how)
    if stored.manifest.get("fingerprint") != stored.embeddings.fingerprint:
        yield problem("counts", "the manifest was written for other embeddings", **how)
    twice = [path for path, count in Counter(paths).items() if count > 1]
    base = base_folder(stored.manifest, stored.embeddings)
    files = {relative_path(file, base) for file in stored.embeddings.files if file not in stored.moved}
    twice += sorted(files & set(paths))
    if twice:
        yield problem("counts", "these files are in more than one row", twice, remedy=_again(stored))


def check_files(stored: Stored) -> Iterator[Finding]:
    """The file of each image exists, with the size and time that it was embedded with."""
    if stored.embeddings is None or stored.facts is None:
        return
    missing, changed = [], []
    rows = zip(stored.embeddings.locations, stored.facts.sizes.tolist(), stored.facts.times.tolist(), strict=True)
    for location, size, time in rows:
        if url_of(location):
            continue
        try:
            facts = os.stat(from_text(stored.moved.get(location, location)))
        except OSError:
            # Missing moved files are problems, which the check of the journal reports.
            if location not in stored.moved and (size or not _is_imported(stored)):
                missing.append(location)
            continue
        if (facts.st_size, storable_time(facts.st_mtime_ns)) != (size, time):
            changed.append(location)
    if missing:
        yield note("files", "the files of these images are gone", missing, remedy=FILES_GONE_REMEDY)
    if changed:
        message = "these files have another size or time than when they were embedded"
        yield note("files", message, changed, remedy=_again(stored))


def comparable_rows(stored: Stored) -> list[int]:
    """Return the rows of the images whose files have the size and time that they were embedded with."""
    if stored.embeddings is None or _is_imported(stored):
        return []
    return [row for row in range(len(stored.embeddings.locations)) if _is_as_embedded(stored, row)]


def _is_as_embedded(stored: Stored, row: int) -> bool:
    if stored.embeddings is None or stored.facts is None:
        return False
    location = stored.embeddings.locations[row]
    try:
        facts = os.stat(from_text(stored.moved.get(location, location)))
    except OSError:
        return False
    return (facts.st_size, storable_time(facts.st_mtime_ns)) == (stored.facts.sizes[row], stored.facts.times[row])


def check_contents(stored: Stored, digests: Mapping[int, bytes]) -> Iterator[Finding]:
    """A file with the size and time that it was embedded with has the same content, too.

    Args:
        stored: What the workspace records.
        digests: The digests of the files of `comparable_rows`, by row.
    """
    if stored.embeddings is None:
        return
    different = [row for row, digest in digests.items() if digest != stored.embeddings.digests[row]]
    # Others were changed after they were read.
    damaged = [stored.embeddings.locations[row] for row in different if _is_as_embedded(stored, row)]
    if damaged:
        yield problem(
            "contents",
            "the content of these files has changed, but not their size and time; they may be damaged",
            damaged,
            remedy="compare them with a backup",
        )


def has_row_for_each_image(stored: Stored) -> bool:
    """Return whether the tables are those of the embedded images, in their order."""
    if stored.results is None or stored.embeddings is None or not stored.is_current:
        return False
    return stored.results.locations == stored.embeddings.locations


def check_tables(stored: Stored) -> Iterator[Finding]:
    """The tables of the clustering, ``metrics.json`` and the embeddings agree."""
    results, metrics = stored.results, stored.metrics
    if results is None or stored.embeddings is None:
        return
    if not stored.is_current:
        yield note(
            "tables",
            "the embeddings have changed since the last clustering",
            remedy="run imgcluster assign, or imgcluster cluster",
        )
    elif not has_row_for_each_image(stored):
        yield problem("tables", "assignments.csv is not of the embedded images", repair="clustering")
        return
    numbers, sizes = np.unique(results.clusters[results.clusters >= 0], return_counts=True)
    present = dict(zip(numbers.tolist(), sizes.tolist(), strict=True))
    noise = int((results.clusters < 0).sum())
    recorded = {"images": len(results.paths), "clusters": len(present), "noise": noise}
    written = {name: metrics.get(name) for name in recorded}
    if written != recorded:
        yield problem(
            "tables",
            f"metrics.json counts {_listed(written)}; assignments.csv has {_listed(recorded)}",
            repair="clustering",
        )
    yield from _check_clusters(stored, present)


def _check_clusters(stored: Stored, sizes: dict[int, int]) -> Iterator[Finding]:
    """Each cluster has one row of ``clusters.csv``, with its size and share, and its medoid is one of its images."""
    results = stored.results
    assert results is not None
    try:
        rows = {row.cluster: row for row in map(row_of, results.table)}
    except (ValueError, KeyError) as error:
        yield problem("tables", f"clusters.csv is not valid ({error})", repair="clustering")
        return
    of_image = dict(zip(results.paths, results.clusters.tolist(), strict=True))
    wrong = [
        str(number)
        for number in sorted({*sizes, *rows})
        if number not in rows
        or rows[number].size != sizes.get(number)
        or abs(rows[number].share - rows[number].size / len(results.paths)) > _DIGIT
        or of_image.get(rows[number].medoid) != number
    ]
    if wrong or len(rows) != len(results.table):
        yield problem(
            "tables",
            f"clusters.csv does not agree with assignments.csv about clusters {', '.join(wrong)}",
            repair="clustering",
        )


def check_decisions(stored: Stored) -> Iterator[Finding]:
    """Names, corrected images and known clusters are those of the tables."""
    results, earlier, decisions = stored.results, stored.earlier, stored.decisions
    if results is None or earlier is None or decisions is None or not has_row_for_each_image(stored):
        return
    if stored.known is not None and not len(stored.known.clusters):
        yield problem("decisions", "known_clusters.parquet is missing or empty", repair="known")
    elif (earlier.clusters != results.clusters).any():
        rows = np.flatnonzero(earlier.clusters != results.clusters)
        paths = [results.paths[row] for row in rows]
        yield problem("decisions", "known_clusters.parquet has these images in other clusters", paths, repair="known")
    # An image that was put into a cluster that is gone follows its former images.
    present = {-1, *results.rows}
    wrong = [
        results.paths[row]
        for row, key in sorted(earlier.decided.items())
        if decisions.images[key].cluster in present - {int(results.clusters[row])}
        or results.decisions.get(results.paths[row]) != decisions.images[key].decision
    ]
    undecided = set(results.decisions) - {results.paths[row] for row in earlier.decided}
    if wrong or undecided:
        yield problem(
            "decisions",
            "decisions.json and the tables do not agree about these images",
            [*wrong, *sorted(undecided)],
            repair="clustering" if wrong else "decisions",
        )
    named = {number: name for number, name in decisions.names.items() if number in results.rows}
    if named != results.names and stored.metrics.get("method") != SORT:
        numbers = sorted({number for number, _ in named.items() ^ results.names.items()})
        yield problem(
            "decisions",
            f"decisions.json and clusters.csv give clusters {', '.join(map(str, numbers))} different names",
            repair="clustering" if set(named.items()) - set(results.names.items()) else "decisions",
        )


def check_steps(stored: Stored) -> Iterator[Finding]:
    """The states for `undo` are complete, and no step is unfinished."""
    saved = stored.states
    if saved is None:
        return
    workspace = stored.workspace
    if interrupted_state(workspace) is not None:
        yield problem("steps", "the last step was interrupted; the next command undoes or completes it", repair="step")
    elif stored.placement is not None and stored.placement.mode == "move" and not workspace.metrics.exists():
        yield problem(
            "steps", "a clustering that moves images was interrupted", remedy="run the same command again, or undo"
        )
    for position, state in enumerate(saved):
        if state.damaged_files:
            yield problem(
                "steps",
                f"files of the state before step {state.number} are damaged or missing, so it cannot be undone",
                _texts(state.damaged_files),
            )
        folders = [workspace.embeddings, *(archive_folder(later) for later in saved[position:])]
        gone = [name for name in state.shards or () if not any((folder / name).is_file() for folder in folders)]
        if gone:
            yield problem(
                "steps", f"embeddings of the state before step {state.number} are missing, so it cannot be undone", gone
            )


def check_page(stored: Stored) -> Iterator[Finding]:
    """The page exists, and shows the clustering."""
    if stored.results is None or not stored.is_current:
        return
    page, identity = stored.workspace.report, identity_of(stored.results.paths, stored.results.clusters)
    if not page.is_file() or identity not in page.read_text(encoding="utf-8", errors="replace"):
        yield problem("page", "the page is missing or shows another clustering", [to_text(page)], repair="page")


def check_repeated(
    stored: Stored, reassigned: Sequence[str], changed: Sequence[str], version: str
) -> Iterator[Finding]:
    """A repeated clustering puts all images into the same clusters, with the same values.

    Args:
        stored: What the workspace records.
        reassigned: The images in other clusters.
        changed: Other images with other values, such as their confidence.
        version: The version of imgcluster that repeated it.
    """
    made_by = stored.metrics.get("imgcluster")
    results = (
        (reassigned, "puts {} images into other clusters", "run imgcluster cluster to take it"),
        (changed, "gives {} images another row in assignments.csv", "run imgcluster cluster to write it again"),
    )
    for paths, what, remedy in results:
        message = f"the repeated clustering {what.format(f'{len(paths):,}')}"
        if not paths:
            continue
        if made_by == version:
            yield problem("rerun", message, paths, remedy=remedy)
        else:
            yield note("rerun", f"{message}; version {made_by} made the present one, {version} repeated it", paths)


CHECKS: Final[tuple[Callable[[Stored], Iterator[Finding]], ...]] = (
    *(check_shards, check_counts, check_files, check_tables, check_placement, check_decisions, check_steps, check_page),
)


def _texts(paths: Sequence[os.PathLike[str]]) -> list[str]:
    return [to_text(path) for path in paths]


def _listed(counts: Mapping[str, int | None]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _is_imported(stored: Stored) -> bool:
    return bool(stored.manifest.get("encoder", {}).get("name") == IMPORTED)
