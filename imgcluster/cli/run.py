"""The command `run`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from imgcluster.cli.assign import show_assign
from imgcluster.cli.cluster import show_cluster
from imgcluster.cli.command import DiscardDecisions, DryRun, FilesFrom, Paths, Strict, WorkspaceOption, command, listed
from imgcluster.cli.embed import show_embed
from imgcluster.cli.ray_option import hidden_output, with_cluster
from imgcluster.cli.screen import SKIPPED, Screen
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions, EmbedOptions, RayOptions

__all__ = ["run_command"]


@command(embedding=EmbedOptions, clustering=ClusterOptions, ray=RayOptions)
def run_command(
    screen: Screen,
    embedding: EmbedOptions,
    clustering: ClusterOptions,
    ray: RayOptions,
    paths: Paths = None,
    files_from: FilesFrom = None,
    strict: Strict = False,
    recluster: Annotated[
        bool, typer.Option("--recluster", help="Cluster again, also where the workspace has a clustering.")
    ] = False,
    discard_decisions: DiscardDecisions = False,
    dry_run: DryRun = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Embed, then cluster; where the workspace has a clustering, assign new images to it."""
    from imgcluster.commands.assign import AssignSummary
    from imgcluster.commands.run import RunSummary, run

    cluster = with_cluster(ray)
    with screen.progress() as on_progress, hidden_output() if cluster else nullcontext():
        summary = run(
            paths or (),
            workspace=workspace,
            files=listed(files_from),
            embedding=embedding,
            clustering=clustering,
            recluster=recluster,
            discard_decisions=discard_decisions,
            dry_run=dry_run,
            ray=cluster,
            on_progress=on_progress,
        )

    def show(done: RunSummary) -> None:
        show_embed(done.embed, dry_run=dry_run)
        if isinstance(done.cluster, AssignSummary):
            show_assign(done.cluster)
        else:
            show_cluster(done.cluster, verbose=screen.verbose)

    screen.show(summary, show)
    if strict and summary.embed.skipped:
        raise typer.Exit(SKIPPED)
