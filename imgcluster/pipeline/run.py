"""`run`: `embed`, then `cluster`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from imgcluster.clustering import Settings, choose_method
from imgcluster.encoders import DEFAULT_ENCODER, EncoderOptions
from imgcluster.pipeline.cluster import ClusterSummary, cluster
from imgcluster.pipeline.embed import DEFAULT_BATCH_SIZE, DEFAULT_WORKSPACE, EmbedSummary, embed
from imgcluster.placement import check_mode
from imgcluster.progress import Report, silent
from imgcluster.reduction import choose_reduction

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
    k: int | None = None,
    method: str = "auto",
    min_cluster_size: int | None = None,
    reduction: str = "auto",
    assign: bool = False,
    place_by: str = "symlink",
    dry_run: bool = False,
    seed: int = 0,
    report: Report = silent,
) -> RunSummary:
    """Embed, then cluster; all options are those of `embed` and `cluster`.

    The options of `cluster` are checked first: a wrong one should not show after an hour of embedding. With
    `dry_run` images are embedded, but no clustering is written.

    Raises:
        ImgclusterError: Whatever `embed` and `cluster` raise.
    """
    chosen = choose_method(method, k)
    choose_reduction(reduction, chosen)
    check_mode(place_by)
    Settings(k=k, min_cluster_size=min_cluster_size, seed=seed)
    embedded = embed(
        paths,
        workspace=workspace,
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
        workspace=workspace,
        k=k,
        method=method,
        min_cluster_size=min_cluster_size,
        reduction=reduction,
        assign=assign,
        place_by=place_by,
        dry_run=dry_run,
        seed=seed,
        report=report,
    )
    return RunSummary(embed=embedded, cluster=clustered)
