"""`history`: the steps that can be undone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone

from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.errors import WorkspaceError
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.states import is_pending, shards_differ, states

__all__ = ["HistorySummary", "PastStep", "history"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStep:
    """One step.

    Attributes:
        step: Its number.
        command: Its command.
        summary: What it did, in words.
        time: When, in ISO 8601 and UTC; "" if it is not known.
    """

    step: int
    command: str
    summary: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySummary:
    """The steps of a workspace since its first clustering, the last one first."""

    workspace: str
    steps: tuple[PastStep, ...]


@in_object_storage_too
def history(*, workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE) -> HistorySummary:
    """Return the steps since the first clustering, which `undo` undoes one by one, the last one first.

    Raises:
        WorkspaceError: The workspace does not exist, another process uses it, or a saved state is damaged.
    """
    workspace = Workspace(workspace)
    if not workspace.is_initialized:
        raise WorkspaceError(f"workspace {workspace.path} does not exist; name another with -w DIR")
    with workspace.locked(read_only=True):
        steps = [
            PastStep(
                step=state.number,
                command=state.command,
                summary=state.summary,
                time="" if state.seconds is None else _time(state.seconds),
            )
            for state in reversed(states(workspace))
            if not is_pending(workspace, state) or shards_differ(workspace, state)
        ]
    return HistorySummary(workspace=workspace.name, steps=tuple(steps))


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):  # no year from 1 to 9999
        return ""
