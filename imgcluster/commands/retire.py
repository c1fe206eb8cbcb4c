"""Retiring the results of an earlier command before another one replaces them."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import make_folder, remove, write_json
from imgcluster.fileio.path_text import from_text
from imgcluster.placement import Journal, read_journal, undo_placement
from imgcluster.placement.plan import free_name, names_in
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import locations

__all__ = ["read_placement", "replacing_results", "require_not_moved", "retire_results"]

_LOG = logging.getLogger(__name__)


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
    _forget_plans(space)
    # The record first: without it nothing here counts as complete, however far the rest gets.
    for path in space.results:
        if path.exists():
            make_folder(space.outdated, within=space.path)
            os.replace(path, space.outdated / path.name)
    _undo_links(space)


@contextmanager
def replacing_results(space: Workspace, metrics: dict[str, Any]) -> Iterator[None]:
    """Replace the clustering by the one that the block writes.

    ``metrics.json`` is the record that makes results count: it is removed before anything is changed, and written,
    from `metrics`, when the block ends without an error. In between the workspace has no clustering.
    """
    _forget_plans(space)
    for path in space.results:
        remove(path)
    _undo_links(space)
    yield
    write_json(space.metrics, metrics)


def _forget_plans(space: Workspace) -> None:
    """Remove what `undo` needs to undo plans; before the clustering that they changed is removed, never after."""
    if space.applied.is_dir():
        shutil.rmtree(space.applied)


def _undo_links(space: Workspace) -> None:
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
