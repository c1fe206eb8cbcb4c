"""`run`: `embed`, then `cluster`."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from imgcluster.clustering import Settings, choose_method
from imgcluster.commands.cluster import ClusterSummary, cluster
from imgcluster.commands.embed import DEFAULT_BATCH_SIZE, DEFAULT_WORKSPACE, EmbedSummary, embed, refuse_own_output
from imgcluster.commands.retire import require_not_moved
from imgcluster.encoders import DEFAULT_ENCODER, EncoderOptions
from imgcluster.errors import ImgclusterError, WorkspaceError
from imgcluster.features.reduce import choose_reduction
from imgcluster.fileio.path_text import to_text
from imgcluster.placement import check_mode
from imgcluster.progress import Report, silent
from imgcluster.types import check_level
from imgcluster.workspace.folder import Workspace

__all__ = ["RunSummary", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What both halves of `run` did."""

    embed: EmbedSummary
    cluster: ClusterSummary


def run(
    paths: Sequence[str | os.PathLike[str]] = (),
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    encoder: str | os.PathLike[str] = DEFAULT_ENCODER,
    options: EncoderOptions | None = None,
    device: str = "auto",
    batch_size: int = DEFAULT_BATCH_SIZE,
    workers: int | None = None,
    exclude: Sequence[str] = (),
    recursive: bool = True,
    files: Sequence[str | os.PathLike[str]] = (),
    fresh: bool = False,
    k: int | str | None = None,
    method: str = "auto",
    min_cluster_size: int | None = None,
    reduction: str = "auto",
    level: str | None = None,
    assign: bool = False,
    place_by: str = "symlink",
    dry_run: bool = False,
    seed: int = 0,
    report: Report = silent,
) -> RunSummary:
    """Embed, then cluster; all options are those of `embed` and `cluster`.

    The options of `cluster` are checked first: a wrong one should not show after an hour of embedding. With
    `dry_run` both work on a copy of the workspace, which is removed in the end, and nothing else is changed.

    Raises:
        ImgclusterError: Whatever `embed` and `cluster` raise.
        WorkspaceError: A moving of images was interrupted, and this is a dry run, which leaves them where they are.
    """
    chosen = choose_method(method, k)
    choose_reduction(reduction, chosen)
    check_mode(place_by)
    Settings.of(k, min_cluster_size=min_cluster_size, seed=seed).check_for(chosen)
    check_level(level)
    with _rehearsal(workspace, paths) if dry_run else nullcontext(workspace) as place:
        embedded = embed(
            paths,
            workspace=place,
            encoder=encoder,
            options=options,
            device=device,
            batch_size=batch_size,
            workers=workers,
            exclude=exclude,
            recursive=recursive,
            files=files,
            fresh=fresh,
            report=report,
        )
        clustered = cluster(
            workspace=place,
            k=k,
            method=method,
            min_cluster_size=min_cluster_size,
            reduction=reduction,
            level=level,
            assign=assign,
            place_by=place_by,
            dry_run=dry_run,
            seed=seed,
            report=report,
        )
    shown = to_text(os.path.abspath(workspace))
    embedded = dataclasses.replace(embedded, workspace=shown)
    clustered = dataclasses.replace(clustered, workspace=shown)
    return RunSummary(embed=embedded, cluster=clustered)


@contextmanager
def _rehearsal(workspace: str | os.PathLike[str], paths: Sequence[str | os.PathLike[str]]) -> Iterator[Path]:
    """Yield a workspace that holds the same embeddings and names, and is thrown away afterwards.

    Meanwhile no other command may change the real one, whose shards are only borrowed.
    """
    real = Workspace(workspace)
    refuse_own_output([to_text(os.path.abspath(path)) for path in paths], real)
    with (
        tempfile.TemporaryDirectory(prefix="imgcluster-") as folder,
        real.locked(dry_run=True) if real.is_made else nullcontext(),
    ):
        copy = Workspace(folder)
        if real.is_made:
            first = require_not_moved(real, dry_run=True)
            if first:
                # Where the images lie now `embed` would not find them.
                raise WorkspaceError(f"{first} To see what comes then: {real.command('undo')}")
            with copy.locked():
                pass
            for name in (real.path / "manifest.json", real.skipped, real.names):
                if name.exists():
                    shutil.copy(name, folder)
            if real.embeddings.is_dir():
                shutil.copytree(real.embeddings, copy.embeddings, copy_function=_borrow)
        try:
            yield copy.path
        except ImgclusterError as error:
            # Nobody has heard of the copy.
            raise type(error)(str(error).replace(str(copy.path), str(real.path))) from error


def _borrow(source: str, target: str) -> None:
    """Link to a shard, whose bytes never change: all of them may be more than the disk for temporary files holds."""
    try:
        os.symlink(source, target)
    except OSError:
        shutil.copy2(source, target)
