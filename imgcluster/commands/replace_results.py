"""Removing or archiving the results of an earlier command before they are replaced."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import make_folder, remove, write_json
from imgcluster.fileio.path_text import from_text
from imgcluster.placement import Journal, read_journal, undo_placement
from imgcluster.placement.plan import existing_names, free_name
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import locations

__all__ = ["read_placement", "replacing_results", "require_not_moved", "retire_results"]

_LOG = logging.getLogger(__name__)


def read_placement(workspace: Workspace, embedded: Container[str] | None = None) -> Journal | None:
    """Return the journal of the last placement; None if nothing is placed.

    Args:
        workspace: The workspace.
        embedded: The locations of its images, if they have been read before.

    Raises:
        PlacementError: The journal is damaged.
        WorkspaceError: A shard is damaged, so that the journal cannot be checked.
    """
    if not workspace.journal.exists():
        return None
    return read_journal(workspace.journal, locations(workspace.embeddings) if embedded is None else embedded)


def require_not_moved(
    workspace: Workspace, journal: Journal | None, *, dry_run: bool = False
) -> tuple[Journal | None, str]:
    """Check that no originals are in the workspace; call it while the workspace is locked.

    An interrupted ``--place move``, after which the workspace has no clustering, is undone. On a dry run it is not,
    and the returned text says that it would be; in all other cases the text is empty.

    Args:
        workspace: The workspace.
        journal: As `read_placement` returned it.
        dry_run: Whether nothing may be changed.

    Returns:
        The journal as it is now, and the text.

    Raises:
        WorkspaceError: Originals were moved to the workspace.
    """
    if journal is None or journal.mode != "move":
        return journal, ""
    targets, returned = [entry.target for entry in journal.entries], 0
    if not workspace.metrics.exists() and any(map(_exists, targets)):
        undone = undo_placement(journal, workspace.journal, dry_run=dry_run)
        journal, targets, returned = undone.journal, [target for target, _ in undone.remaining], undone.done
    if any(map(_exists, targets)):
        raise WorkspaceError(
            f"the original images were moved to {workspace.clusters}; move them back with {workspace.command('undo')}, "
            "then run this command again"
        )
    if not dry_run or not returned:
        return journal, ""
    return journal, (
        f"{returned:,} {'image was' if returned == 1 else 'images were'} moved to {workspace.clusters} by an "
        "interrupted command; without --dry-run this command first moves them back."
    )


def retire_results(workspace: Workspace, journal: Journal | None) -> None:
    """Archive the results of embeddings that are about to change.

    Tables and page move to ``outdated/`` and replace those archived before; links and copies in `journal` are removed.
    """
    _remove_plan_states(workspace)
    # metrics.json is the first: without it the results do not count as complete.
    for path in (*workspace.results, *workspace.findings):
        if path.exists():
            make_folder(workspace.outdated, within=workspace.path)
            os.replace(path, workspace.outdated / path.name)
    _undo_links(workspace, journal)


@contextmanager
def replacing_results(workspace: Workspace, journal: Journal | None, metrics: dict[str, Any]) -> Iterator[None]:
    """Replace the clustering, and the files placed by `journal`, by those that the block writes.

    ``metrics.json``, without which results do not count, is removed first, and written from `metrics` if the block
    ends without an error. In between the workspace has no clustering.
    """
    _remove_plan_states(workspace)
    for path in workspace.results:
        remove(path)
    _undo_links(workspace, journal)
    yield
    write_json(workspace.metrics, metrics)


def _remove_plan_states(workspace: Workspace) -> None:
    """Remove the states before plans; call it before the clustering that the plans changed is removed."""
    if workspace.applied.is_dir():
        shutil.rmtree(workspace.applied)


def _undo_links(workspace: Workspace, journal: Journal | None) -> None:
    """Undo a placement of links and copies.

    Those whose removal could lose data move to ``outdated/clusters/``. The journal of moved originals that are
    missing moves to ``outdated/``, because it records their original paths.
    """
    if journal is None:
        return
    outdated = workspace.outdated
    if journal.mode == "move" and journal.entries:
        make_folder(outdated, within=workspace.path)
        archived = outdated / free_name(workspace.journal.name, dict.fromkeys(existing_names(outdated), 1))
        os.replace(workspace.journal, archived)
        _LOG.warning("moved images are missing from %s; %s lists their original paths", workspace.clusters, archived)
        return
    aside = outdated / workspace.clusters.name
    for target, reason in undo_placement(journal, workspace.journal, aside=aside).remaining:
        action = "was not removed" if _exists(target) else f"was moved to {aside}"
        _LOG.warning("%s %s: %s", target, action, reason)


def _exists(text: str) -> bool:
    return os.path.lexists(from_text(text))
