"""`undo`: the last thing that was done is taken back: a plan, or the placing of files."""

from __future__ import annotations

import os
from dataclasses import dataclass

from imgcluster.commands.history import last_plan, rewrite_page, take_plan_back
from imgcluster.commands.retire import read_placement
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.placement import undo_placement
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import read_tables

__all__ = ["UndoSummary", "undo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoSummary:
    """What `undo` took back, a ``plan`` or a ``placing`` (`what`): `taken_back` files, of a placing by `place`; those
    `left` as they are, each with the reason."""

    workspace: str
    what: str
    place: str
    taken_back: int
    left: tuple[tuple[str, str], ...]
    dry_run: bool


def undo(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> UndoSummary:
    """Take back the last plan; where there is none, put moved files back where they came from, and remove placed links
    and copies that are as they were placed.

    Raises:
        WorkspaceError: There is nothing to take back, or another process works in the workspace.
        PlacementError: The journal is damaged.
    """
    space = Workspace(workspace)
    if not space.is_made:
        raise WorkspaceError(f"there is no workspace {space.path}; name it with -w DIR")
    with space.locked(dry_run=dry_run):
        journal = read_placement(space)
        state = last_plan(space)
        if state is not None:
            moved = 0 if dry_run else take_plan_back(space, state, on_progress=on_progress)
            return UndoSummary(
                workspace=to_text(space.path),
                what="plan",
                place="none" if journal is None else journal.mode,
                taken_back=moved,
                left=(),
                dry_run=dry_run,
            )
        if journal is None:
            raise WorkspaceError(f"nothing is placed in {space.path}, so there is nothing to take back")
        total = len(journal.entries)
        answer = undo_placement(
            journal, space.journal, dry_run=dry_run, step=lambda done: on_progress(Progress("undo", done, total))
        )
        if journal.mode == "move" and not dry_run and space.metrics.exists():
            # Its links led to where the images had been moved.
            rewrite_page(space, read_tables(space, space.read_metrics()), on_progress)
    return UndoSummary(
        workspace=to_text(space.path),
        what="placing",
        place=journal.mode,
        taken_back=answer.done,
        left=answer.left,
        dry_run=dry_run,
    )
