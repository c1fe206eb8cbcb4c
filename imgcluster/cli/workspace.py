"""The commands around a workspace: embed, cluster, run, evaluate, report, apply, undo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import options as o
from imgcluster.cli.boundary import SKIPPED, Screen, boundary
from imgcluster.errors import UsageError

if TYPE_CHECKING:
    from imgcluster.encoders import EncoderOptions

__all__ = [
    "apply_command",
    "cluster_command",
    "embed_command",
    "evaluate_command",
    "report_command",
    "run_command",
    "undo_command",
]


def embed_command(
    paths: o.Paths = None,
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
    workspace: o.WorkspaceFolder = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Turn every image into a vector; only new and changed ones are computed."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.workspace import show_embed
        from imgcluster.pipeline.embed import embed

        with screen.progress() as report:
            summary = embed(
                paths or (),
                workspace=workspace,
                encoder=encoder,
                options=_encoder_options(mean, std, scale, resize, image_size, pool, output),
                device=device,
                batch_size=batch_size,
                workers=workers,
                exclude=exclude or (),
                recursive=not no_recursive,
                files=_listed(files_from),
                fresh=fresh,
                report=report,
            )
        screen.show(summary, show_embed)
        if strict and summary.skipped:
            raise typer.Exit(SKIPPED)


def cluster_command(
    k: o.K = None,
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
    """Cluster the embeddings: labelled folders, CSV tables and a page to look at."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.workspace import show_cluster
        from imgcluster.pipeline.cluster import cluster

        with screen.progress() as report:
            summary = cluster(
                workspace=workspace,
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
        screen.show(summary, show_cluster)


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
        from imgcluster.cli.show.workspace import show_run
        from imgcluster.pipeline.run import run

        with screen.progress() as report:
            summary = run(
                paths or (),
                workspace=workspace,
                encoder=encoder,
                options=_encoder_options(mean, std, scale, resize, image_size, pool, output),
                device=device,
                batch_size=batch_size,
                workers=workers,
                exclude=exclude or (),
                recursive=not no_recursive,
                files=_listed(files_from),
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


def evaluate_command(
    workspaces: Annotated[
        list[Path] | None,
        typer.Argument(metavar="WORKSPACE…", help="Workspaces to compare, instead of -w DIR.", show_default=False),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="METHOD",
            help="Cluster by this method, only to compare it; nothing is written. May be repeated.",
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("-k", "--k", min=1, help="The number of clusters for those methods.")] = None,
    assign_noise: o.Assign = False,
    seed: o.Seed = 0,
    labels: Annotated[
        str, typer.Option("--labels", metavar="folders|FILE.csv", help="Folder names, or a CSV with path and label.")
    ] = "folders",
    workspace: o.WorkspaceFolder = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Score the clustering against labels: accuracy, NMI, ARI, purity, confusion matrix.

    With several workspaces, or methods, their scores stand side by side.
    """
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        if not method and (k is not None or assign_noise):
            raise UsageError("--k and --assign-noise are for comparing methods: add --method METHOD")
        if workspaces or method:
            from imgcluster.cli.show.workspace import show_comparison
            from imgcluster.pipeline.compare import compare

            with screen.progress() as report:
                comparison = compare(
                    workspaces or (workspace,),
                    methods=method or (),
                    labels=labels,
                    k=k,
                    assign=assign_noise,
                    seed=seed,
                    report=report,
                )
            screen.show(comparison, show_comparison)
            return
        from imgcluster.cli.show.workspace import show_evaluate
        from imgcluster.pipeline.evaluate import evaluate

        summary = evaluate(labels=labels, workspace=workspace)
        screen.show(summary, show_evaluate)


def report_command(
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw figures for papers, too: PNG and SVG in the folder figures.")
    ] = False,
    workspace: o.WorkspaceFolder = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Write the page again from the workspace."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.workspace import show_report
        from imgcluster.pathtext import to_text
        from imgcluster.pipeline.report import report_page
        from imgcluster.store.workspace import Workspace

        with screen.progress() as report:
            page = report_page(workspace=workspace, figures=figures, report=report)
        folder = to_text(Workspace(workspace).figures) if figures else None
        screen.show((page, folder), show_report, as_json={"report": page, "figures": folder})


def apply_command(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.json", help="A plan saved on the page.")],
    dry_run: o.DryRun = False,
    workspace: o.WorkspaceFolder = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Carry out what was decided on the page: names, merges, misplaced images."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.workspace import show_apply
        from imgcluster.pipeline.apply import apply

        with screen.progress() as report:
            summary = apply(plan, workspace=workspace, dry_run=dry_run, report=report)
        screen.show(summary, show_apply)


def undo_command(
    dry_run: o.DryRun = False,
    workspace: o.WorkspaceFolder = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Take back the last plan, else the last placing of files: moved images return, links and copies go."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.workspace import show_undo
        from imgcluster.pipeline.undo import undo

        with screen.progress() as report:
            summary = undo(workspace=workspace, dry_run=dry_run, report=report)
        screen.show(summary, show_undo)
        if summary.place == "move" and summary.left:
            raise typer.Exit(1)


def _listed(source: str | None) -> list[Path]:
    if source is None:
        return []
    from imgcluster.files import read_list

    if source == "-":
        return read_list(sys.stdin.buffer)
    if not Path(source).is_file():
        raise UsageError(f"there is no list of files {source}; give a file, or - for standard input")
    with Path(source).open("rb") as file:
        return read_list(file)


def _encoder_options(
    mean: str | None,
    std: str | None,
    scale: float | None,
    resize: str | None,
    image_size: str | None,
    pool: str | None,
    output: str | None,
) -> EncoderOptions:
    from imgcluster.encoders import EncoderOptions

    return EncoderOptions(
        mean=o.numbers(mean, "--mean"),
        std=o.numbers(std, "--std"),
        scale=scale,
        resize=resize,
        image_size=o.size(image_size),
        pool=pool,
        output=output,
    )
