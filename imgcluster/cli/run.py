"""The command `run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgcluster.cli import options as o
from imgcluster.cli.cluster import show_cluster
from imgcluster.cli.embed import show_embed
from imgcluster.cli.options import encoder_options, listed
from imgcluster.cli.screen import SKIPPED, Screen, boundary

if TYPE_CHECKING:
    from imgcluster.commands.run import RunSummary

__all__ = [
    "run_command",
    "show_run",
]


def run_command(
    paths: o.Paths = None,
    k: o.K = None,
    encoder: o.EncoderName = o.ENCODER,
    device: o.Device = "auto",
    batch_size: o.BatchSize = 32,
    workers: o.Workers = None,
    exclude: o.Exclude = None,
    no_recursive: o.NoRecursive = False,
    files_from: o.FilesFrom = None,
    fresh: o.Fresh = False,
    strict: o.Strict = False,
    mean: o.Mean = None,
    std: o.Std = None,
    scale: o.Scale = None,
    resize: o.Resize = None,
    image_size: o.ImageSize = None,
    pool: o.Pool = None,
    output: o.Output = None,
    method: o.Method = "auto",
    min_cluster_size: o.MinClusterSize = None,
    reduce: o.Reduce = "auto",
    level: o.Level = None,
    assign_noise: o.Assign = False,
    place: o.Place = "symlink",
    dry_run: o.DryRun = False,
    seed: o.Seed = 0,
    workspace: o.WorkspaceFolder = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Embed, then cluster, in one go."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.commands.run import run

        with screen.progress() as report:
            summary = run(
                paths or (),
                workspace=workspace,
                encoder=encoder,
                options=encoder_options(mean, std, scale, resize, image_size, pool, output),
                device=device,
                batch_size=batch_size,
                workers=workers,
                exclude=exclude or (),
                recursive=not no_recursive,
                files=listed(files_from),
                fresh=fresh,
                k=o.count(k),
                method=method,
                min_cluster_size=min_cluster_size,
                reduction=reduce,
                level=level,
                assign=assign_noise,
                place_by=place,
                dry_run=dry_run,
                seed=seed,
                report=report,
            )
        screen.show(summary, show_run)
        if strict and summary.embed.skipped:
            raise typer.Exit(SKIPPED)


def show_run(summary: RunSummary) -> None:
    """Print what both halves of `run` did."""
    show_embed(summary.embed)
    show_cluster(summary.cluster)
