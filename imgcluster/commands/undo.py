"""`undo`: undo the last step or, without one, the placement of files."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass

from imgcluster.commands.support.change_placed import warn_about_other_files
from imgcluster.commands.support.originals import FileChanges, folders_of
from imgcluster.commands.support.placed_files import read_placement, read_set_aside
from imgcluster.commands.support.steps import changes_of_undo, rewrite_page, undo_state, undoable_state
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import remove, write_json
from imgcluster.fileio.path_text import from_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.placement import Journal, UndoResult, undo_placement
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.workspace.folder import Workspace, read_json
from imgcluster.workspace.local_copy import folder_of
from imgcluster.workspace.results import read_tables
from imgcluster.workspace.shapes import UNDOING

__all__ = ["UndoSummary", "acknowledge", "undo", "undo_unacknowledged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoSummary:
    """What `undo` did.

    Attributes:
        workspace: The workspace folder.
        what: What was undone: ``plan``, ``placing``, or the command of the step, such as ``cluster``.
        place: The mode of the placement; ``none`` if no files are placed.
        taken_back: The number of placed files that were removed or moved, or would be.
        left: The files that remain, each with the reason.
        dry_run: Whether nothing was changed.
        returned: The number of originals that moved back to their original paths, or would.
        returned_to: The folders of these paths.
        moved: The number of originals that moved into the workspace, where the undone step had moved them back.
        place_again: The command that places the files again, after the placement was undone; empty otherwise.
    """

    workspace: str
    what: str
    place: str
    taken_back: int
    left: tuple[tuple[str, str], ...]
    dry_run: bool
    returned: int = 0
    returned_to: tuple[str, ...] = ()
    moved: int = 0
    place_again: str = ""


def undo(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    trust: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> UndoSummary:
    """Undo the last step or, if there is none, the placement: moved files return, links and copies are removed.

    Steps are plans, clusterings and assignments after the first clustering, together with the `embed` before them.
    After a kill at any moment, repeating it completes what it undid, and undoes nothing else.

    Args:
        workspace: The workspace folder.
        trust: Files may move to and from all folders that the workspace names; needed if they were moved by another
            user, on another computer, or with another ``IMGCLUSTER_KEY``.
        dry_run: Only report what would be done.
        on_progress: Called with each step.

    Raises:
        WorkspaceError: There is nothing to undo, originals cannot return, or another process uses the workspace.
        PlacementError: The journal is damaged, or files were moved by someone else and `trust` is not set.
    """
    summary = undo_unacknowledged(workspace=workspace, trust=trust, dry_run=dry_run, on_progress=on_progress)
    acknowledge(summary)
    return summary


@in_object_storage_too
def undo_unacknowledged(
    *,
    workspace: str | os.PathLike[str],
    trust: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> UndoSummary:
    """Undo as `undo` does; until the summary is passed to `acknowledge`, repeating it undoes nothing else."""
    workspace = Workspace(workspace)
    if not workspace.is_initialized:
        raise WorkspaceError(f"workspace {workspace.path} does not exist; name another with -w DIR")
    with workspace.locked(read_only=dry_run):
        journal = read_placement(workspace, trust=trust)
        state = undoable_state(workspace, dry_run=dry_run)
        begun = _Begun.read(workspace)
        if begun is not None and begun.step and (state is None or state.number != begun.step):
            return _summary(workspace, begun, FileChanges(), (), dry_run=dry_run)
        if state is not None:
            mode = "none" if journal is None else journal.mode
            begun = _Begun("plan" if state.command == "apply" else state.command, mode, state.number)
            changes = changes_of_undo(workspace, state, journal, trust=trust)
            if not dry_run:
                write_json(workspace.undoing, dataclasses.asdict(begun))
                undo_state(workspace, state, trust=trust, on_progress=on_progress)
            return _summary(workspace, begun, changes, (), dry_run=dry_run)
        # Duplicates whose step is too old to be recorded.
        aside = read_set_aside(workspace, trust=trust)
        if aside is not None and not any(os.path.lexists(from_text(entry.target)) for entry in aside.entries):
            aside = None
        return _undo_placement(workspace, journal, aside, begun, on_progress, dry_run=dry_run)


def acknowledge(summary: UndoSummary) -> None:
    """Record that the user has seen what was undone, so that the next `undo` undoes more."""
    if not summary.dry_run:
        remove(Workspace(folder_of(summary.workspace)).undoing)


@dataclass(frozen=True, slots=True)
class _Begun:
    """What `undo` began to undo: `what` and `place` as in `UndoSummary`, and the number of the step, 0 for none."""

    what: str
    place: str
    step: int = 0

    @classmethod
    def read(cls, workspace: Workspace) -> _Begun | None:
        """Return what an earlier `undo` began and did not acknowledge; None if there is nothing."""
        record = read_json(workspace.undoing, "delete that file, then run imgcluster undo again", UNDOING)
        return cls(**{name: record[name] for name in UNDOING}) if record else None


def _undo_placement(
    workspace: Workspace,
    journal: Journal | None,
    aside: Journal | None,
    begun: _Begun | None,
    on_progress: OnProgress,
    *,
    dry_run: bool,
) -> UndoSummary:
    file = workspace.journal if aside is None else workspace.set_aside_journal
    journal = aside or journal
    undone = UndoResult(0, ())
    if journal is not None:
        begun = _Begun("placing", journal.mode)
        if not dry_run:
            write_json(workspace.undoing, dataclasses.asdict(begun))
        total = len(journal.entries)
        undone = undo_placement(
            journal, file, dry_run=dry_run, step=lambda done: on_progress(Progress("undo", done, total))
        )
        if journal.mode == "move" and not dry_run and undone.journal is None:
            warn_about_other_files(journal)
    if begun is None:
        raise WorkspaceError(f"nothing to undo in {workspace.path}: no step is recorded and no files are placed")
    if begun.place == "move" and not dry_run and workspace.metrics.exists():
        # The page links to the moved images.
        rewrite_page(workspace, read_tables(workspace, workspace.read_metrics()), on_progress)
    changes = FileChanges(undone.done, undone.returned)
    summary = _summary(workspace, begun, changes, undone.remaining, dry_run=dry_run)
    if dry_run or undone.remaining or aside is not None or not workspace.metrics.exists():
        return summary
    return dataclasses.replace(summary, place_again=workspace.command(f"assign --place {begun.place}"))


def _summary(
    workspace: Workspace, begun: _Begun, changes: FileChanges, left: tuple[tuple[str, str], ...], *, dry_run: bool
) -> UndoSummary:
    return UndoSummary(
        workspace=workspace.name,
        what=begun.what,
        place=begun.place,
        taken_back=changes.leaving,
        left=left,
        dry_run=dry_run,
        returned=len(changes.returning),
        returned_to=folders_of(changes.returning),
        moved=changes.moving,
    )
