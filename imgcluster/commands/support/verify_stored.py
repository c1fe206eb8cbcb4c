"""Everything that a workspace records, read for `verify`: a file that cannot be read becomes a finding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from imgcluster.commands.support.numbering import Earlier, read_earlier
from imgcluster.commands.support.placed_files import current_files, read_placement, read_set_aside
from imgcluster.errors import ImgclusterError
from imgcluster.fileio.path_text import to_text
from imgcluster.placement import Journal
from imgcluster.workspace.decisions import Decisions, read_decisions
from imgcluster.workspace.file_facts import FileFacts, read_file_facts
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.known_clusters import KnownClusters, read_known_clusters
from imgcluster.workspace.results import Results, encoder_identity, read_tables
from imgcluster.workspace.shard_file import read_rows
from imgcluster.workspace.shards import Embeddings, all_shards, list_shards, load
from imgcluster.workspace.skipped_images import read_skipped
from imgcluster.workspace.states import State, states
from imgcluster.workspace.work_shards import work_shards

__all__ = ["Finding", "Stored", "note", "problem", "read_stored"]

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found.

    Attributes:
        check: The name of the check.
        level: ``problem``: the workspace contradicts itself or is damaged; ``note``: it is older than your images, or
            work is left to do.
        message: What was found.
        paths: The files or images that it is about, as texts.
        remedy: What to do; "" if the message says it.
        repair: The name of the repair that ``--repair`` makes; "" if there is none.
    """

    check: str
    level: Literal["problem", "note"]
    message: str
    paths: tuple[str, ...] = ()
    remedy: str = ""
    repair: str = ""


def problem(check: str, message: str, paths: Sequence[str] = (), *, remedy: str = "", repair: str = "") -> Finding:
    """Return a finding of the level ``problem``."""
    return Finding(check=check, level="problem", message=message, paths=tuple(paths), remedy=remedy, repair=repair)


def note(check: str, message: str, paths: Sequence[str] = (), *, remedy: str = "") -> Finding:
    """Return a finding of the level ``note``, which has no repair."""
    return Finding(check=check, level="note", message=message, paths=tuple(paths), remedy=remedy)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a workspace records; None for what does not exist or cannot be read.

    Attributes:
        workspace: The workspace, locked.
        manifest: Its manifest; empty if it cannot be read.
        embeddings: The embedded images.
        facts: Size and time of their files when they were embedded.
        foreign: The shards of another encoder.
        skipped: The rows of ``skipped.csv``.
        metrics: The content of ``metrics.json``; empty without a clustering.
        results: The clustering.
        placement: The journal of the placed files.
        aside: The journal of the duplicates that were set aside.
        known: The images of all clusters.
        decisions: What the user decided.
        earlier: Clusters and decisions by present images.
        states: The saved states.
        unreadable: A finding for each file that cannot be read.
    """

    workspace: Workspace
    manifest: dict[str, Any]
    embeddings: Embeddings | None = None
    facts: FileFacts | None = None
    foreign: tuple[Path, ...] = ()
    skipped: list[dict[str, str]] | None = None
    metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
    results: Results | None = None
    placement: Journal | None = None
    aside: Journal | None = None
    known: KnownClusters | None = None
    decisions: Decisions | None = None
    earlier: Earlier | None = None
    states: list[State] | None = None
    unreadable: tuple[Finding, ...] = ()

    @property
    def is_current(self) -> bool:
        """Whether the clustering is of the present embeddings."""
        return (
            self.embeddings is not None
            and self.results is not None
            and self.metrics.get("fingerprint") == self.embeddings.fingerprint
        )

    @cached_property
    def moved(self) -> dict[str, str]:
        """Where the files are that were moved, by their original paths."""
        return current_files(self.placement, self.aside)


class _Reader:
    """Reads values; where one cannot be read, it is None, and there is a finding.

    Attributes:
        found: The findings.
    """

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def read(
        self, check: str, file: Path, function: Callable[..., _Value], *args: Any, repair: str = ""
    ) -> _Value | None:
        """Return what a function reads; None if it cannot."""
        try:
            return function(*args)
        except ImgclusterError as error:
            self.found.append(problem(check, str(error), [to_text(file)], repair=repair))
        except OSError as error:
            # The file may be intact, so nothing is done about it.
            self.found.append(problem(check, f"{file} cannot be read: {error.strerror or error}", [to_text(file)]))
        return None


def read_stored(workspace: Workspace, manifest: dict[str, Any]) -> Stored:
    """Read what a locked workspace with this manifest records."""
    reader = _Reader()
    values: dict[str, Any] = _read_embeddings(reader, workspace, manifest)
    embeddings: Embeddings | None = values["embeddings"]
    if workspace.skipped.exists():
        values["skipped"] = reader.read("counts", workspace.skipped, _rows, workspace.skipped)
    metrics = reader.read("tables", workspace.metrics, workspace.read_metrics, repair="metrics") or {}
    if metrics:
        # Several tables; the message names the one.
        values["results"] = reader.read("tables", workspace.path, read_tables, workspace, metrics, repair="clustering")
    if not any(finding.check == "shards" for finding in reader.found):
        # Journals are checked against the embedded images.
        files = None if embeddings is None else embeddings.files
        values["placement"] = reader.read(
            "placement", workspace.journal, read_placement, workspace, files, repair="journal"
        )
        values["aside"] = reader.read("placement", workspace.set_aside_journal, read_set_aside, workspace, files)
    known, decisions = workspace.known_clusters, workspace.decisions
    values["known"] = reader.read("decisions", known, read_known_clusters, known, repair="known")
    values["decisions"] = reader.read("decisions", decisions, read_decisions, decisions, repair="decisions")
    needed = embeddings, values.get("results"), values["known"], values["decisions"]
    if all(value is not None for value in needed):
        values["earlier"] = reader.read("decisions", known, read_earlier, workspace, embeddings)
    values["states"] = reader.read("steps", workspace.applied, states, workspace)
    return Stored(workspace=workspace, manifest=manifest, metrics=metrics, unreadable=tuple(reader.found), **values)


def _read_embeddings(reader: _Reader, workspace: Workspace, manifest: dict[str, Any]) -> dict[str, Any]:
    folder, shards = workspace.embeddings, all_shards(workspace.embeddings)
    if not (manifest or shards) and work_shards(workspace):
        reader.found.append(
            Finding(
                check="counts",
                level="note",
                message="the shards of embed --shard are not joined",
                remedy="run imgcluster embed --finish",
            )
        )
        return {"embeddings": None}
    if shards and not manifest.get("encoder"):
        reader.found.append(_without_manifest(workspace))
        return {"embeddings": None}
    identity = reader.read("counts", workspace.manifest_file, encoder_identity, workspace, manifest)
    # One after the other, because together they need much memory.
    tables = (reader.read("shards", shard, read_rows, shard, repair="shards") for shard in shards)
    damaged = sum(table is None for table in tables)
    if identity is None or damaged:
        return {"embeddings": None}
    return {
        "embeddings": reader.read("shards", folder, load, folder, identity),
        "facts": reader.read("shards", folder, read_file_facts, folder, identity),
        "foreign": tuple(sorted(set(shards) - set(list_shards(folder, identity)))),
    }


def _without_manifest(workspace: Workspace) -> Finding:
    path = workspace.manifest_file
    state, delete = ("cannot be read", "delete that file, then ") if path.exists() else ("is missing", "")
    return problem(
        "counts",
        f"{path} {state}",
        [to_text(path)],
        remedy=(
            f"--repair writes it again if the encoder is known; otherwise {delete}run the embed command again with the "
            "--encoder and the options that the images were embedded with"
        ),
        repair="manifest",
    )


def _rows(path: Path) -> list[dict[str, str]]:
    return list(read_skipped(path))
