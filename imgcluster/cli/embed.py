"""The command `embed`; its options are the fields of `options.EmbedOptions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from imgcluster.cli.command import FilesFrom, Paths, Strict, WorkspaceOption, command, listed
from imgcluster.cli.console import command_for, echo, files_of
from imgcluster.cli.ray_option import hidden_output, with_cluster
from imgcluster.cli.screen import SKIPPED, Screen
from imgcluster.errors import UsageError
from imgcluster.options import DEFAULT_WORKSPACE, EmbedOptions, RayOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.merge import ShardsSummary
    from imgcluster.commands.support.embed_summary import EmbedSummary

__all__ = ["embed_command", "show_embed", "show_next"]

_SHARDS: Final = "Several processes"


@command(options=EmbedOptions, ray=RayOptions)
def embed_command(
    screen: Screen,
    options: EmbedOptions,
    ray: RayOptions,
    paths: Paths = None,
    files_from: FilesFrom = None,
    strict: Strict = False,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N", help="Embed only shard I (0 to N-1) of N.", rich_help_panel=_SHARDS),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="List the shards that are not joined yet.", rich_help_panel=_SHARDS)
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Join all shards; the next cluster does it, too.", rich_help_panel=_SHARDS)
    ] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Compute a vector for every new or changed image."""
    from imgcluster.commands.embed import embed
    from imgcluster.commands.merge import finish_shards, shards_status
    from imgcluster.fileio.object_store import store_url

    exclusive = {"--shard": shard, "--status": status, "--finish": finish, "--ray": ray.address}
    given = [name for name, value in exclusive.items() if value]
    if len(given) > 1 or ((status or finish) and (paths or files_from)):
        raise UsageError(f"{given[-1]} is not allowed with {given[0] if len(given) > 1 else 'PATH'}; give one of them")
    cluster = with_cluster(ray)
    if status:
        screen.show(shards_status(workspace), _show_shards)
        return
    common: dict[str, Any] = {"workspace": workspace, "files": listed(files_from), "options": options}
    with screen.progress() as on_progress:
        if finish:
            summary = finish_shards(workspace, on_progress=on_progress)
        elif store_url(workspace) and shard:
            from imgcluster.commands.embed_store import embed_into_store

            summary = embed_into_store(paths or (), **common, shard=shard, on_progress=on_progress)
        elif cluster:
            from imgcluster.commands.embed_ray import embed_on_ray

            with hidden_output():
                summary = embed_on_ray(paths or (), **common, cluster=cluster, on_progress=on_progress)
        else:
            summary = embed(paths or (), **common, shard=shard, on_progress=on_progress)

    def show(done: EmbedSummary) -> None:
        show_embed(done)
        if done.outdated or not done.shard:
            show_next(done.workspace, outdated=done.outdated)

    screen.show(summary, show)
    if strict and summary.skipped:
        raise typer.Exit(SKIPPED)


def show_embed(summary: EmbedSummary, *, dry_run: bool = False) -> None:
    """Print the numbers of images; on a dry run nothing was stored."""
    done = summary.new + summary.changed
    rate = f", {summary.images_per_second:,.0f} images/s" if summary.images_per_second else ""
    verb, holds = ("Dry run: embedded", "would hold") if dry_run else ("Embedded", "now holds")
    echo(
        f"{verb} {counted(done, 'image')} with encoder {summary.encoder} on {summary.device.upper()} "
        f"({summary.seconds:.1f} s{rate})."
    )
    if summary.shard:
        echo(f"Shard {summary.shard} has {counted(summary.embedded, 'image')}; imgcluster cluster joins all shards.")
    elif summary.embedded != done or summary.vanished or summary.renamed:
        others = summary.embedded - done - summary.unchanged - summary.renamed
        parts = (
            (summary.new, "new"),
            (summary.changed, "changed"),
            (summary.unchanged, "unchanged"),
            (summary.renamed, "renamed"),
            (others, "of folders that were not searched (--fresh removes these)"),
        )
        counts = ", ".join(f"{count:,} {word}" for count, word in parts if count)
        echo(f"The workspace {holds} {counted(summary.embedded, 'image')}: {counts}.")
        if summary.vanished:
            why = "they no longer exist or are" if summary.vanished > 1 else "it no longer exists or is"
            echo(f"{counted(summary.vanished, 'image')} removed, because {why} excluded.")
    for node in summary.nodes:
        rate = f", {node.images_per_second:,.0f} images/s" if node.images_per_second else ""
        echo(
            f"Node {node.host} ({node.node[:8]}): {counted(node.images, 'image')} in {counted(node.shards, 'shard')}, "
            f"{counted(node.workers, 'worker')}{rate}."
        )
    if summary.paired:
        echo(f"{counted(summary.paired, 'image')} with two files: a JPEG and its camera raw file.")
    if summary.skipped:
        # The table of a shard comes into the workspace when the shards are joined.
        see = "" if summary.shard or dry_run else f"; see {files_of(summary.workspace)}/skipped.csv"
        echo(f"Skipped {counted(summary.skipped, 'image')} that could not be read{see}.")
    if summary.ignored:
        files = counted(summary.ignored, "file that is not an image", "files that are not images")
        echo(f"Ignored {files}.")
    for note in summary.notes:
        echo(f"Note: {note}")


def show_next(workspace: str, *, outdated: bool) -> None:
    """Print the command that puts the images into clusters, unless they are in these."""
    if outdated:
        echo(f"To bring the clusters up to date: {command_for(workspace, 'assign')}")
    elif not Path(files_of(workspace), "metrics.json").exists():
        echo(f"To cluster them: {command_for(workspace, 'cluster')}")


def _show_shards(summary: ShardsSummary) -> None:
    for shard in summary.shards:
        echo(f"{shard.shard:>9}  {shard.state:10}  {counted(shard.images, 'image')}")
    if not summary.shards:
        echo("There are no shards that are not joined.")
