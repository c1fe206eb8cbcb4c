"""`run`: `embed`, then `cluster`, or `assign` in a workspace that has a clustering."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from imgcluster.commands.assign import AssignSummary, assign
from imgcluster.commands.cluster import ClusterSummary, cluster
from imgcluster.commands.cluster_ray import cluster_on_ray
from imgcluster.commands.embed import embed, refuse_own_output
from imgcluster.commands.embed_ray import embed_on_ray
from imgcluster.commands.support.change_placed import preview_placement, return_interrupted_move
from imgcluster.commands.support.cluster_request import resolve
from imgcluster.commands.support.embed_summary import EmbedSummary
from imgcluster.commands.support.join_started import join_if_started
from imgcluster.commands.support.naming import NO_VOCABULARY
from imgcluster.commands.support.originals import folders_of, returning_originals
from imgcluster.commands.support.placed_files import moved_files, read_placement
from imgcluster.commands.support.steps import recover
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.commands.support.text import require_text
from imgcluster.commands.support.workspace_encoder import encoder_name
from imgcluster.errors import ImgclusterError, UsageError, WorkspaceError
from imgcluster.fileio.path_text import Paths, path_list, to_text
from imgcluster.option_fields import with_changes
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions, EmbedOptions, RayOptions
from imgcluster.placement import Journal, PlaceMode, check_mode
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.wording import quoted_argument
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import locations

__all__ = ["RunSummary", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What both halves of `run` did; `cluster` is an `AssignSummary` where new images were assigned."""

    embed: EmbedSummary
    cluster: ClusterSummary


@in_object_storage_too
def run(
    paths: Paths = (),
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    files: Paths = (),
    embedding: EmbedOptions | None = None,
    clustering: ClusterOptions | None = None,
    recluster: bool = False,
    discard_decisions: bool = False,
    dry_run: bool = False,
    ray: RayOptions | None = None,
    on_progress: OnProgress = ignore_progress,
    **changes: Any,
) -> RunSummary:
    """Embed, then cluster; in a workspace that has a clustering, embed, then assign new images to its clusters.

    Clustering options other than the defaults and those of the last clustering also cluster again, and so does `fresh`.
    The options of `cluster` are checked first: an error should not appear after an hour of embedding. With `dry_run`
    both work on a copy of the workspace, which is removed in the end, and nothing else is changed.

    Args:
        paths: As for `embed`.
        workspace: The workspace folder.
        files: As for `embed`.
        embedding: The options of `embed`.
        clustering: The options of `cluster`.
        recluster: Cluster again, whatever the workspace has.
        discard_decisions: As for `cluster`.
        dry_run: Only report what would be written.
        ray: Embed as `embed_on_ray` does, and cluster as `cluster_on_ray`; the result is the same, byte for byte.
        on_progress: Called with each step.
        **changes: Single fields of either, as in ``run("photos", device="cpu", k=10)``.

    Raises:
        ImgclusterError: Whatever `embed` and `cluster` raise.
        UsageError: Both `dry_run` and `ray` are given.
        WorkspaceError: A step was interrupted, and this is a dry run, which does not undo it.
    """
    embedding, clustering = _with_changes(embedding or EmbedOptions(), clustering or ClusterOptions(), changes)
    if ray and dry_run:
        raise UsageError("--dry-run is not allowed with --ray: the nodes do not see its copy; leave one of them out")
    real = Workspace(workspace)
    resolve(clustering, real.url)
    if clustering.vocabulary not in (None, NO_VOCABULARY):
        require_text(encoder_name(embedding, real, real.manifest))
    paths = path_list(paths)
    if ray is None:  # which continues shards that are incomplete
        join_if_started(real, dry_run=dry_run, on_progress=on_progress)
    with (
        _dry_run_copy(workspace, paths) if dry_run else nullcontext((workspace, None, None)) as (folder, placed, moved)
    ):
        if placed is not None and clustering.place is None:
            clustering = dataclasses.replace(clustering, place=placed.mode)
        compute_embeddings = partial(embed_on_ray, cluster=ray) if ray else partial(embed, moved=moved)
        embedded = compute_embeddings(paths, workspace=folder, files=files, options=embedding, on_progress=on_progress)
        clustered: ClusterSummary
        if not (recluster or embedding.fresh) and _continues(Workspace(folder), clustering):
            clustered = assign(workspace=folder, place=clustering.place, dry_run=dry_run, on_progress=on_progress)
        else:
            if dry_run and real.url and clustering.place is None:
                clustering = dataclasses.replace(clustering, place="manifest")
            compute_clusters = partial(cluster_on_ray, ray=ray) if ray else cluster
            clustered = compute_clusters(
                workspace=folder,
                options=clustering,
                discard_decisions=discard_decisions,
                dry_run=dry_run,
                on_progress=on_progress,
            )
        if dry_run:
            clustered = _summary_of_real(clustered, Workspace(folder), real, placed, check_mode(clustering.place))
    return RunSummary(
        embed=dataclasses.replace(embedded, workspace=real.name),
        cluster=dataclasses.replace(clustered, workspace=real.name),
    )


def _with_changes(
    embedding: EmbedOptions, clustering: ClusterOptions, changes: Mapping[str, Any]
) -> tuple[EmbedOptions, ClusterOptions]:
    """Return both options, each with those of the `changes` that are its fields."""
    names = {field.name for field in dataclasses.fields(ClusterOptions)}
    clustering = with_changes(clustering, {name: value for name, value in changes.items() if name in names})
    embedding = with_changes(embedding, {name: value for name, value in changes.items() if name not in names})
    return embedding, clustering


def _continues(workspace: Workspace, options: ClusterOptions) -> bool:
    """Return whether the workspace has a clustering, and `options` do not ask for another one."""
    if not workspace.metrics.exists():
        return False
    # Where files are placed has no influence on clusters.
    defaults, given = (dataclasses.asdict(each) | {"place": None} for each in (ClusterOptions(), options))
    recorded = workspace.read_metrics()["options"]
    return given in (defaults, {name: recorded.get(name, value) for name, value in defaults.items()} | {"place": None})


@contextmanager
def _dry_run_copy(
    workspace: str | os.PathLike[str], paths: Sequence[str | os.PathLike[str]]
) -> Iterator[tuple[Path, Journal | None, dict[str, str]]]:
    """Yield a workspace that holds the same embeddings and names but no placed files, the journal of these, and where
    the originals are that were moved.

    The copy is removed at the end. Meanwhile no other command may change the real workspace, to whose shards it links.
    """
    real = Workspace(workspace)
    refuse_own_output([to_text(os.path.abspath(path)) for path in paths], real)
    with (
        tempfile.TemporaryDirectory(prefix="imgcluster-") as folder,
        real.locked(read_only=True) if real.is_initialized else nullcontext(),
    ):
        copy, journal = Workspace(folder), None
        moved: dict[str, str] = {}
        if real.is_initialized:
            recover(real, real.manifest, dry_run=True)
            journal, first = return_interrupted_move(real, read_placement(real), dry_run=True)
            if first:
                # Where the images lie now `embed` would not find them.
                raise WorkspaceError(f"{first} To see what comes then: {real.command('undo')}")
            moved = moved_files(real, journal)
            copy.initialize()
            tables = (real.metrics, real.assignments, real.clusters_table, real.decisions, real.known_clusters)
            for name in (real.manifest_file, real.skipped, *tables):
                if name.exists():
                    shutil.copy(name, folder)
            if real.embeddings.is_dir():
                shutil.copytree(real.embeddings, copy.embeddings, copy_function=_link_shard)
        try:
            yield copy.path, journal, moved
        except ImgclusterError as error:
            # The user knows the real workspace only.
            raise type(error)(_of_real(str(error), folder, real)) from error


def _summary_of_real(
    summary: ClusterSummary, copy: Workspace, real: Workspace, journal: Journal | None, mode: PlaceMode | None
) -> ClusterSummary:
    """Return the summary of a copy as that of the real workspace, whose placed files the copy does not have."""
    summary = dataclasses.replace(summary, warnings=tuple(_of_real(text, copy.path, real) for text in summary.warnings))
    if not real.is_initialized:
        return summary
    files = locations(copy.embeddings)
    if summary.placed:
        summary = dataclasses.replace(summary, placed=preview_placement(real, summary.place, files).counts)
    if journal is None:
        return summary
    if isinstance(summary, AssignSummary) and summary.is_unchanged and mode in (None, journal.mode):
        return dataclasses.replace(summary, placed={}, missing=0)
    returned = returning_originals(journal, real.journal, mode or journal.mode, files)
    return dataclasses.replace(summary, returned=len(returned), returned_to=folders_of(returned))


def _of_real(text: str, copy: str | os.PathLike[str], real: Workspace) -> str:
    """Return a message with the real workspace in the place of its copy."""
    return text.replace(f"-w {copy}", f"-w {quoted_argument(real.name)}").replace(str(copy), real.name)


def _link_shard(source: str, target: str) -> None:
    """Link to a shard, whose bytes never change: all of them may be more than the disk for temporary files holds."""
    try:
        os.symlink(source, target)
    except OSError:
        shutil.copy2(source, target)
