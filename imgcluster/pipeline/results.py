"""The results of a clustering as a unit: current or out of date, read back, and taken away when they are outdated."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.errors import WorkspaceError
from imgcluster.pathtext import from_text, join
from imgcluster.placement import Journal, read_journal, undo_placement
from imgcluster.placement.placing import free_name, names_in
from imgcluster.store.atomic import make_folder
from imgcluster.store.shards import contents, locations
from imgcluster.store.tables import ASSIGNMENTS, read_table
from imgcluster.store.workspace import Workspace

__all__ = [
    "Results",
    "encoder_identity",
    "forget_plans",
    "read_placement",
    "read_results",
    "read_tables",
    "require_not_moved",
    "retire_results",
    "take_back_links",
]

_LOG = logging.getLogger(__name__)

_NEEDED: Final = ("cluster", "size", "medoid", "mean_distance", "silhouette")


@dataclass(frozen=True, slots=True)
class Results:
    """A clustering as its tables hold it, row by row.

    `paths` are relative to `base`; `locations` are absolute; `clusters` ``int64 (n,)``; `confidence` and
    `distances` ``float64 (n,)`` (NaN where the table has none). `table` is ``clusters.csv``, `metrics`
    ``metrics.json``. `runner_ups` ``int32 (n,)`` are the next best clusters, −1 for none; None where the table has no
    such column.
    """

    base: str
    paths: list[str]
    locations: list[str]
    clusters: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    distances: npt.NDArray[np.float64]
    medoids: npt.NDArray[np.bool_]
    table: list[dict[str, str]]
    metrics: dict[str, Any]
    runner_ups: npt.NDArray[np.int32] | None = None

    @property
    def rows(self) -> dict[int, dict[str, str]]:
        """The rows of ``clusters.csv`` by cluster."""
        return {int(row["cluster"]): row for row in self.table}

    @property
    def names(self) -> dict[int, str]:
        """The names that people gave to clusters."""
        return {number: row["name"] for number, row in self.rows.items() if row.get("name")}


def encoder_identity(space: Workspace) -> str:
    """Return the identity of the encoder that the workspace was made with.

    Raises:
        WorkspaceError: Nothing is embedded yet.
    """
    if not space.path.exists():
        raise WorkspaceError(
            f"there is no workspace {space.path} yet: run imgcluster embed PATH first, or name another with -w DIR"
        )
    identity = space.manifest.get("encoder", {}).get("identity")
    if not identity:
        raise WorkspaceError(f"{space.path} holds no embeddings yet: run imgcluster embed PATH first")
    return str(identity)


def read_results(space: Workspace) -> Results:
    """Read the current clustering.

    Raises:
        WorkspaceError: Nothing is clustered yet, or embeddings have changed since.
    """
    identity = encoder_identity(space)
    if not space.metrics.exists() and space.applied.is_dir():
        raise WorkspaceError(f"a plan was interrupted half-way in {space.path}: apply it again, or run imgcluster undo")
    space.require(space.metrics, "run imgcluster cluster first")
    metrics = space.read_metrics()
    if metrics.get("fingerprint") != contents(space.embeddings, identity).fingerprint:
        raise WorkspaceError(
            f"the clusters in {space.path} are older than its embeddings: run imgcluster cluster again"
        )
    return read_tables(space, metrics)


def read_tables(space: Workspace, metrics: dict[str, Any]) -> Results:
    """Read the tables of a clustering whose ``metrics.json`` is, or will be, `metrics`.

    Raises:
        WorkspaceError: A table is missing or not as it was written.
    """
    base = str(metrics.get("base", ""))
    rows = list(read_table(space.assignments, ASSIGNMENTS))
    try:
        return Results(
            base=base,
            paths=[row["path"] for row in rows],
            locations=[join(base, row["path"]) if base else row["path"] for row in rows],
            clusters=np.array([int(row["cluster"]) for row in rows], dtype=np.int64),
            confidence=_numbers(row["confidence"] for row in rows),
            distances=_numbers(row["distance"] for row in rows),
            medoids=np.array([row["is_medoid"] == "true" for row in rows], dtype=bool),
            table=list(read_table(space.clusters_table, _NEEDED)),
            metrics=metrics,
            runner_ups=_whole(row["runner_up"] for row in rows) if rows and "runner_up" in rows[0] else None,
        )
    except ValueError as error:
        raise WorkspaceError(
            f"{space.assignments} is not as imgcluster wrote it ({error}): run imgcluster cluster again"
        ) from None


def read_placement(space: Workspace) -> Journal | None:
    """Return the journal of the last placement; None where nothing is placed.

    Raises:
        PlacementError: The journal is damaged.
        WorkspaceError: A shard is damaged, so that the journal cannot be checked.
    """
    if not space.journal.exists():
        return None
    return read_journal(space.journal, locations(space.embeddings))


def require_not_moved(space: Workspace, *, dry_run: bool = False) -> str:
    """Refuse to go on while the last placing holds the originals; to be called under the lock.

    A moving that was interrupted, so that no clustering came of it, is taken back instead: the same command can then
    go on. On a dry run nothing is; that it would be is what is returned, in a sentence, and "" in all other cases.

    Raises:
        WorkspaceError: Originals were moved into the workspace's folders.
    """
    journal = read_placement(space)
    if journal is None or journal.mode != "move":
        return ""
    held, put_back = [entry.target for entry in journal.entries], 0
    if not space.metrics.exists() and any(map(_is_there, held)):
        answer = undo_placement(journal, space.journal, dry_run=dry_run)
        held, put_back = [target for target, _ in answer.left], answer.done
    if any(map(_is_there, held)):
        raise WorkspaceError(
            f"the images were moved into {space.clusters}; {space.command('undo')} puts them back, then run this again"
        )
    if not dry_run or not put_back:
        return ""
    return (
        f"{put_back:,} {'image lies' if put_back == 1 else 'images lie'} in {space.clusters} since a command was "
        "interrupted: without --dry-run this command first puts them back where they were."
    )


def retire_results(space: Workspace) -> None:
    """Take away what was made from embeddings that are about to change.

    Tables and page go into ``outdated/``, over those of the time before; placed links and copies are removed, as
    `undo` does.
    """
    forget_plans(space)
    # The record first: without it nothing here counts as complete, however far the rest gets.
    for path in space.results:
        if path.exists():
            make_folder(space.outdated, within=space.path)
            os.replace(path, space.outdated / path.name)
    take_back_links(space)


def forget_plans(space: Workspace) -> None:
    """Drop what `undo` would need to take plans back; before the clustering that they changed goes, never after."""
    if space.applied.is_dir():
        shutil.rmtree(space.applied)


def take_back_links(space: Workspace) -> None:
    """Take back the last placing of links and copies.

    Those that cannot go without losing something (a copy that was edited, or whose original is gone) are put into
    ``outdated/clusters/``. A journal of moved originals that are not there any more is kept in ``outdated/``: should
    they turn up, it says where they came from.
    """
    journal = read_placement(space)
    if journal is None:
        return
    outdated = space.outdated
    if journal.mode == "move" and journal.entries:
        make_folder(outdated, within=space.path)
        kept = outdated / free_name(space.journal.name, dict.fromkeys(names_in(outdated), 1))
        os.replace(space.journal, kept)
        _LOG.warning("moved images are not where they were put; %s says where they came from", kept)
        return
    aside = outdated / space.clusters.name
    for target, reason in undo_placement(journal, space.journal, aside=aside).left:
        where = "stays where it is" if _is_there(target) else f"was moved into {aside}"
        _LOG.warning("%s %s: %s", target, where, reason)


def _is_there(text: str) -> bool:
    return os.path.lexists(from_text(text))


def _whole(texts: Any) -> npt.NDArray[np.int32]:
    return np.array([int(text) if text else -1 for text in texts], dtype=np.int32)


def _numbers(texts: Any) -> npt.NDArray[np.float64]:
    return np.array([float(text) if text else np.nan for text in texts], dtype=np.float64)
