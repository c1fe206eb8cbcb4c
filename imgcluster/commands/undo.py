"""`undo`: undo the last step or, without one, the placement of files."""

from __future__ import annotations

import os
from dataclasses import dataclass

from imgcluster.commands.replace_results import read_placement, read_set_aside
from imgcluster.commands.steps import rewrite_page, undo_state, undoable_state
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
    """What `undo` did.

    Attributes:
        workspace: The workspace folder.
        what: What was undone: ``plan``, ``placing``, or the command of the step, such as ``cluster``.
        place: The mode of the placement; ``none`` if no files are placed.
        taken_back: The number of files that were removed or moved back.
        left: The files that remain, each with the reason.
        dry_run: Whether nothing was changed.
    """

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
    """Undo the last step or, if there is none, the placement: moved files return, links and copies are removed.

    Steps are plans, clusterings and assignments after the first clustering, together with the `embed` before them.

    Args:
        workspace: The workspace folder.
        dry_run: Only report what would be done.
        on_progress: Called with each step.

    Raises:
        WorkspaceError: There is nothing to undo, or another process uses the workspace.
        PlacementError: The journal is damaged.
    """
    workspace = Workspace(workspace)
    if not workspace.is_initialized:
        raise WorkspaceError(f"workspace {workspace.path} does not exist; name another with -w DIR")
    with workspace.locked(dry_run=dry_run):
        journal = read_placement(workspace)
        state = undoable_state(workspace, dry_run=dry_run)
        if state is not None:
            moved = 0 if dry_run else undo_state(workspace, state, on_progress=on_progress)
            return UndoSummary(
                workspace=to_text(workspace.path),
                what="plan" if state.command == "apply" else state.command,
                place="none" if journal is None else journal.mode,
                taken_back=moved,
                left=(),
                dry_run=dry_run,
            )
        # Duplicates whose step is too old to be recorded.
        aside = read_set_aside(workspace)
        file = workspace.journal if aside is None else workspace.set_aside_journal
        journal = aside or journal
        if journal is None:
            raise WorkspaceError(f"nothing to undo in {workspace.path}: no step is recorded and no files are placed")
        total = len(journal.entries)
        undone = undo_placement(
            journal, file, dry_run=dry_run, step=lambda done: on_progress(Progress("undo", done, total))
        )
        if journal.mode == "move" and not dry_run and workspace.metrics.exists():
            # The page links to the moved images.
            rewrite_page(workspace, read_tables(workspace, workspace.read_metrics()), on_progress)
    return UndoSummary(
        workspace=to_text(workspace.path),
        what="placing",
        place=journal.mode,
        taken_back=undone.done,
        left=undone.remaining,
        dry_run=dry_run,
    )
