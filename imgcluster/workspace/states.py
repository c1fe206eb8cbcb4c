"""Saved states of a workspace, so that every step can be undone in reverse order.

``applied/001/`` contains the files before the first step after the first clustering, ``002/`` those before the second.
While a step changes results the workspace has no ``metrics.json``, which reveals an interruption. The last state is
pending until the step that was made from it is complete; `embed` leaves it pending, and the next step uses it. A
complete one records the ``metrics.json`` after the step: if only that file is missing, the step is not undone. Shards
that are replaced later move into the last state.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import atomic_path, remove, remove_if_empty, sync_folder, write_json
from imgcluster.fileio.digests import file_digest
from imgcluster.workspace.file_names import WorkspaceFiles
from imgcluster.workspace.folder import Workspace, read_json, read_metrics
from imgcluster.workspace.shapes import MANIFEST, STEP
from imgcluster.workspace.shards import all_shards, locations

__all__ = [
    "MOST_STATES",
    "State",
    "archive_folder",
    "archive_of",
    "begin_state",
    "drop_state",
    "earlier_locations",
    "interrupted_state",
    "is_pending",
    "last_state",
    "restore_files",
    "restore_shards",
    "set_complete",
    "shards_differ",
    "states",
]

MOST_STATES: Final = 100
"""Older states are removed."""

_FACTS: Final = "step.json"
_ARCHIVE: Final = "embeddings"
_REMEDY: Final = "delete that folder, after which the steps up to it cannot be undone"


@dataclass(frozen=True, slots=True)
class State:
    """A saved state and the step that was made from it.

    Attributes:
        number: Its number; the oldest has the lowest.
        folder: The folder with the saved files.
        command: The step's command.
        summary: What the step did, in words.
        seconds: When, in seconds since 1970; None if it is not known.
        complete: Whether the step changed results.
        metrics: The content of ``metrics.json`` in this state; None if it is not known.
        operation: Identifies a step that must not be repeated; "" for others.
        shards: The names of its shards; None if they are not known.
        files: The digests of the saved files by name; empty if they are not known.
    """

    number: int
    folder: Path
    command: str
    summary: str
    seconds: float | None
    complete: bool
    metrics: dict[str, Any] | None
    operation: str
    shards: tuple[str, ...] | None
    files: Mapping[str, str]

    @property
    def damaged_files(self) -> list[Path]:
        """The saved files that are missing or have another content than when they were saved."""
        paths = {self.folder / name: digest for name, digest in self.files.items()}
        return [path for path, digest in paths.items() if not path.is_file() or file_digest(path).hex() != digest]


def states(workspace: Workspace) -> list[State]:
    """Return the saved states, the oldest first.

    Raises:
        WorkspaceError: One is damaged.
    """
    # A folder without metrics is what a user put there, or what is left of a state that was being removed.
    return [_read(folder) for folder in _folders(workspace) if (folder / workspace.metrics.name).is_file()]


def last_state(workspace: Workspace) -> State | None:
    """Return the last state, which may be unfinished; None without one."""
    found = states(workspace)
    return found[-1] if found else None


def interrupted_state(workspace: Workspace) -> State | None:
    """Return the state before a step that was interrupted while it changed results; None if there is none.

    If it is complete, only ``metrics.json`` is missing.
    """
    return None if workspace.metrics.exists() else last_state(workspace)


def is_pending(workspace: Workspace, state: State) -> bool:
    """Return whether no step from the last state has changed results yet."""
    return workspace.metrics.exists() and not state.complete


def begin_state(workspace: Workspace, command: str, summary: str, *, operation: str = "") -> State | None:
    """Save the present state, unless one is pending, and return it; without a clustering nothing is saved.

    `command`, `summary` and `operation` are those of the step that follows, as in `State`.
    """
    # A damaged file is not saved.
    if not workspace.read_metrics():
        return None
    last = last_state(workspace)
    facts = {"command": command, "summary": summary, "seconds": round(time.time(), 3), "operation": operation}
    if last is not None and is_pending(workspace, last):
        write_json(last.folder / _FACTS, facts | {"shards": last.shards, "files": last.files})
        return _read(last.folder)
    draft = workspace.applied / ".draft"
    for unfinished in (draft, *_folders(workspace)):
        if not (unfinished / workspace.metrics.name).is_file() or unfinished == draft:
            _remove_own_files(workspace, unfinished)
    number = max(map(_number, _folders(workspace)), default=0) + 1
    draft.mkdir(parents=True, exist_ok=True)
    files = {}
    for path in _saved_files(workspace):
        if path.exists():
            with atomic_path(draft / path.name) as copy:
                shutil.copyfile(path, copy)
                # The page is removed when the next state is saved.
                if path != workspace.report:
                    files[path.name] = file_digest(copy).hex()
    shards = [shard.name for shard in all_shards(workspace.embeddings)]
    write_json(draft / _FACTS, facts | {"shards": shards, "files": files})
    os.rename(draft, workspace.applied / f"{number:03d}")
    sync_folder(workspace.applied)
    _forget_old(workspace)
    return _read(workspace.applied / f"{number:03d}")


def set_complete(state: State, metrics: dict[str, Any] | None) -> None:
    """Record that the step made from a state has changed results, to these ``metrics.json``; None if it has not."""
    facts = read_json(state.folder / _FACTS, _REMEDY, STEP)
    write_json(state.folder / _FACTS, facts | {"complete": metrics is not None, "metrics": metrics})


def restore_files(workspace: Workspace, state: State, *, embedded: bool) -> dict[str, Any]:
    """Restore the tables and caches of a state, and return its ``metrics.json``, which the caller writes at the end.

    Args:
        workspace: The workspace.
        state: The state.
        embedded: Whether the files that describe the embeddings are restored, too.

    Raises:
        WorkspaceError: A file of the state is damaged; nothing is changed.
    """
    if damaged := state.damaged_files:
        raise WorkspaceError(f"{damaged[0]} is damaged or missing; {_REMEDY}")
    metrics = read_metrics(state.folder / workspace.metrics.name, _REMEDY)
    # In this order: a complete step without metrics.json is not undone.
    remove(workspace.metrics)
    set_complete(state, None)
    for path in workspace.figure_files:
        remove(path)
    # Earlier versions saved no manifest, because their steps did not change it.
    has_manifest = (state.folder / workspace.manifest_file.name).exists()
    if has_manifest and embedded:
        for path in _changed_by_embed(workspace):
            _restore(state.folder / path.name, path)
    elif has_manifest:
        saved = read_json(state.folder / workspace.manifest_file.name, _REMEDY, MANIFEST)
        present = {key: value for key, value in workspace.manifest.items() if key != "cluster"}
        workspace.write_manifest(present | {key: value for key, value in saved.items() if key == "cluster"})
    for path in _changed_by_steps(workspace):
        if path != workspace.metrics:
            _restore(state.folder / path.name, path)
    return metrics


def restore_shards(workspace: Workspace, state: State) -> None:
    """Restore the embeddings of a state: replaced shards return, newer ones are removed."""
    if state.shards is None:
        return
    if shards_differ(workspace, state):
        # No state has one, and it may be that of the vectors of another device.
        remove(workspace.reduction)
    for shard in all_shards(archive_folder(state)):
        os.replace(shard, workspace.embeddings / shard.name)
    sync_folder(workspace.embeddings)
    for shard in all_shards(workspace.embeddings):
        if shard.name not in state.shards:
            remove(shard)


def shards_differ(workspace: Workspace, state: State) -> bool:
    """Return whether the embeddings have changed since a state was saved."""
    present = [shard.name for shard in all_shards(workspace.embeddings)]
    return state.shards is not None and list(state.shards) != present


def drop_state(workspace: Workspace, state: State) -> None:
    """Remove a state; files that imgcluster did not write stay."""
    # First the file without which it is no state.
    remove(state.folder / workspace.metrics.name)
    sync_folder(state.folder)
    _remove_own_files(workspace, state.folder)
    remove_if_empty(workspace.applied)


def archive_folder(state: State) -> Path:
    """Return the folder for shards that are replaced after a state was saved."""
    return state.folder / _ARCHIVE


def archive_of(workspace: Workspace) -> Path | None:
    """Return the folder that replaced shards move to; None if no state is saved."""
    last = last_state(workspace)
    return None if last is None else archive_folder(last)


def earlier_locations(workspace: Workspace) -> Iterator[str]:
    """Yield the absolute paths, as texts, of the images in replaced shards."""
    for state in states(workspace):
        yield from locations(archive_folder(state))


def _read(folder: Path) -> State:
    facts = read_json(folder / _FACTS, _REMEDY, STEP)
    if not facts and WorkspaceFiles(folder).manifest_file.exists():
        # The versions that wrote none saved no manifest either.
        raise WorkspaceError(f"{folder / _FACTS} is missing; {_REMEDY}")
    shards = facts.get("shards")
    return State(
        number=_number(folder),
        folder=folder,
        command=facts.get("command", "apply"),
        summary=facts.get("summary", ""),
        seconds=facts.get("seconds"),
        # Earlier versions saved states of plans only, without these facts.
        complete=facts.get("complete", not facts),
        metrics=facts.get("metrics"),
        operation=facts.get("operation", ""),
        shards=None if shards is None else tuple(shards),
        files=facts.get("files", {}),
    )


def _folders(workspace: Workspace) -> list[Path]:
    """Return the folders that can be states, the oldest first."""
    if not workspace.applied.is_dir():
        return []
    return sorted((path for path in workspace.applied.iterdir() if path.name.isdecimal()), key=_number)


def _remove_own_files(workspace: Workspace, folder: Path) -> None:
    """Remove what `begin_state` and `remove_shards` wrote, and the folder if it is empty then."""
    archive = folder / _ARCHIVE
    for shard in all_shards(archive):
        remove(shard)
    remove_if_empty(archive)
    for path in _saved_files(workspace):
        remove(folder / path.name)
    remove(folder / _FACTS)
    remove_if_empty(folder)


def _number(folder: Path) -> int:
    return int(folder.name)


def _restore(saved: Path, path: Path) -> None:
    if saved.exists():
        with atomic_path(path) as copy:
            shutil.copyfile(saved, copy)
    else:
        remove(path)


def _forget_old(workspace: Workspace) -> None:
    """Keep the page in the last state only, because it is large, and remove the oldest states."""
    found = states(workspace)
    for state in found[:-1]:
        remove(state.folder / workspace.report.name)
    for state in found[:-MOST_STATES]:
        drop_state(workspace, state)


def _changed_by_steps(workspace: Workspace) -> Sequence[Path]:
    return (
        workspace.metrics,
        workspace.assignments,
        workspace.assignments_parquet,
        workspace.clusters_table,
        workspace.changes_table,
        workspace.names,
        workspace.decisions,
        workspace.known_clusters,
        workspace.candidates_table,
        workspace.candidates_picture,
        workspace.confusion_table,
        workspace.confusion_picture,
        workspace.layers,
        workspace.layout,
        workspace.neighbors,
    )


def _saved_files(workspace: Workspace) -> Sequence[Path]:
    journals = (workspace.journal, workspace.set_aside_journal)
    return (*_changed_by_steps(workspace), *_changed_by_embed(workspace), *journals, workspace.report)


def _changed_by_embed(workspace: Workspace) -> Sequence[Path]:
    return (workspace.manifest_file, workspace.skipped)
