"""The command `cluster`; its options are the fields of `options.ClusterOptions`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcluster.cli.command import CommandWithMethods, DiscardDecisions, DryRun, WorkspaceOption, command
from imgcluster.cli.console import (
    command_for,
    echo,
    files_of,
    new_table,
    print_table,
    show_clusters,
    show_returned,
)
from imgcluster.cli.ray_option import CommandWithRay, hidden_output
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions, RayOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.clustering.types import Candidate
    from imgcluster.commands.cluster import ClusterSummary
    from imgcluster.commands.sort import SortSummary

__all__ = ["ClusterCommand", "cluster_command", "show_cluster", "show_files"]


class ClusterCommand(CommandWithRay, CommandWithMethods):
    """`cluster` and `run`: their option ``--ray`` may have no value, and their help lists the methods."""


@command(options=ClusterOptions)
def cluster_command(
    screen: Screen,
    options: ClusterOptions,
    discard_decisions: DiscardDecisions = False,
    dry_run: DryRun = False,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Compute in parallel over the shards on a Ray cluster: HOST:PORT, auto for the "
            "one of this machine (the default), or local to start one.",
        ),
    ] = None,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Cluster the embeddings, and write folders, CSV tables and an HTML page."""
    from imgcluster.commands.cluster import cluster

    with screen.progress() as on_progress:
        arguments: dict[str, Any] = {
            "workspace": workspace,
            "options": options,
            "discard_decisions": discard_decisions,
            "dry_run": dry_run,
            "on_progress": on_progress,
        }
        if ray:
            from imgcluster.commands.cluster_ray import cluster_on_ray

            with hidden_output():
                summary = cluster_on_ray(**arguments, ray=RayOptions(address=ray))
        else:
            summary = cluster(**arguments)
    screen.show(summary, lambda done: show_cluster(done, verbose=screen.verbose))


def show_cluster(summary: ClusterSummary, *, verbose: bool) -> None:
    """Print the clusters, their stability, and the paths of the results."""
    noise = f"; {counted(summary.noise, 'image')} in no cluster (noise)" if summary.noise else ""
    size = f"{counted(len(summary.clusters), 'cluster')} in {counted(summary.images, 'image')}{noise}"
    echo(f"Found {size} ({summary.seconds:.1f} s).")
    show_clusters(summary.clusters, summary.workspace)
    echo("\n".join([summary.quality, *summary.remarks]))
    levels = ", ".join(_other_levels(summary.layers, summary.layer))
    if levels:
        echo(f"Other levels: {levels}. Use --level to switch.")
    if verbose:
        _show_details(summary)
    _show_candidates(summary.candidates, verbose=verbose)
    if summary.changes:
        from imgcluster.commands.support.cluster_warnings import about_changes

        table = "" if summary.dry_run else f"{files_of(summary.workspace)}/changes.csv"
        echo(about_changes(summary.changes, summary.reassigned, table) or "All clusters are as before.")
    for warning in summary.warnings:
        echo(f"Note: {warning}")
    show_files(summary)


def _other_levels(layers: Sequence[int], picked: int) -> Iterator[str]:
    for number, count in enumerate(layers):
        if number == picked:
            continue
        name = "fine" if number == 0 else "coarse" if number == len(layers) - 1 else f"level {number}"
        yield f"{name} ({counted(count, 'cluster')})"


def _show_details(summary: ClusterSummary) -> None:
    parameters = ", ".join(f"{name} {value}" for name, value in summary.parameters.items())
    echo(f"Method: {summary.method}. Reduction: {summary.reduction}. Parameters: {parameters or 'none'}.")
    if summary.silhouette is not None:
        echo(f"Mean silhouette: {summary.silhouette:.3f}.")


def _show_candidates(candidates: Sequence[Candidate], *, verbose: bool) -> None:
    if not candidates:
        return
    names = ("clusters", "stability", *(("silhouette", "persistence") if verbose else ()))
    table = new_table(*names, "", right=names)
    for candidate in candidates:
        scores = [candidate.stability, *((candidate.silhouette, candidate.persistence) if verbose else ())]
        table.add_row(str(candidate.k), *(f"{score:.2f}" for score in scores), "chosen" if candidate.chosen else "")
    echo("Scores of other numbers of clusters, computed without labels:")
    print_table(table)


def show_files(summary: ClusterSummary | SortSummary) -> None:
    """Print where the results are."""
    show_returned(summary)
    placed = ", ".join(f"{count:,} by {mode}" for mode, count in summary.placed.items())
    files, undo = files_of(summary.workspace), command_for(summary.workspace, "undo")
    if summary.dry_run:
        echo(
            "Nothing was written. Without --dry-run, this command writes assignments.csv, clusters.csv, metrics.json "
            f"and report.html into {summary.workspace}"
            + (f", and places files ({placed}) in {files}/clusters." if placed else ".")
        )
        return
    if placed and summary.place == "manifest":
        echo(f"{files}/placed.jsonl says where each image belongs; imgcluster export copies them there.")
    elif placed and summary.place == "move":
        echo(f"The originals are now in {files}/clusters: do not delete it. To move them back: {undo}")
    elif placed:
        echo(f"Placed files ({placed}) in {files}/clusters. To undo: {undo}")
    echo(f"Page: {summary.report}")
