"""The command `cluster`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgcluster.cli import options as o
from imgcluster.cli.console import images, new_table, print_table, say, show_clusters
from imgcluster.cli.screen import Screen, boundary
from imgcluster.types import Candidate

if TYPE_CHECKING:
    from imgcluster.commands.cluster import ClusterSummary

__all__ = [
    "cluster_command",
    "show_cluster",
]


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
        from imgcluster.commands.cluster import cluster

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


def show_cluster(summary: ClusterSummary) -> None:
    """Print the clusters, one sentence on how far they can be trusted, and where things lie."""
    noise = f", {images(summary.noise)} in none of them (noise)" if summary.noise else ""
    reduction = "" if summary.reduction == "none" else f" after {summary.reduction}"
    say(
        f"{images(summary.images)}, {len(summary.clusters)} "
        f"{'cluster' if len(summary.clusters) == 1 else 'clusters'}{noise}, by {summary.method}{reduction} "
        f"({summary.seconds:.1f} s)."
    )
    show_clusters(summary.clusters, summary.workspace)
    say(summary.quality)
    if len(summary.layers) > 1:
        others = (f"{count} clusters" for number, count in enumerate(summary.layers) if number != summary.layer)
        say(f"Finer and coarser: {', '.join(others)}; the same command with --level fine or coarse picks them.")
    _show_candidates(summary.candidates)
    for warning in summary.warnings:
        say(f"Note: {warning}")
    placed = ", ".join(f"{count:,} by {how}" for how, count in summary.placed.items())
    if summary.dry_run:
        say(
            f"Nothing was written. Without --dry-run: assignments.csv, clusters.csv, metrics.json and report.html in "
            f"{summary.workspace}, and {_files(placed)} in {summary.workspace}/clusters."
        )
        return
    folder, undo = f"{summary.workspace}/clusters", f"imgcluster undo -w {shlex.quote(summary.workspace)}"
    if placed and summary.place == "move":
        say(f"The originals are now in {folder}: do not delete it. To put them back: {undo}")
    elif placed:
        say(f"Placed {_files(placed)} in {folder}. To take them back: {undo}")
    say(f"Page: {summary.report}")


def _show_candidates(candidates: Sequence[Candidate]) -> None:
    if not candidates:
        return
    numbers = ("clusters", "silhouette", "stability", "persistence")
    table = new_table(*numbers, "", right=numbers)
    for candidate in candidates:
        scores = f"{candidate.silhouette:.2f}", f"{candidate.stability:.2f}", f"{candidate.persistence:.2f}"
        table.add_row(str(candidate.k), *scores, "chosen" if candidate.chosen else "")
    say("Numbers of clusters, scored without labels:")
    print_table(table)


def _files(placed: str) -> str:
    return f"files ({placed})" if placed else "no files"
