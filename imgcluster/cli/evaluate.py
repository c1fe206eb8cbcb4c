"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import images, new_table, plain, print_table, say
from imgcluster.cli.screen import Screen, boundary
from imgcluster.errors import UsageError

if TYPE_CHECKING:
    from imgcluster.commands.compare import Comparison
    from imgcluster.commands.evaluate import EvaluateSummary
    from imgcluster.evaluation.external import Interval

__all__ = [
    "evaluate_command",
    "show_comparison",
    "show_evaluate",
]


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
            from imgcluster.commands.compare import compare

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
        from imgcluster.commands.evaluate import evaluate

        summary = evaluate(labels=labels, workspace=workspace)
        screen.show(summary, show_evaluate)


def show_evaluate(summary: EvaluateSummary) -> None:
    """Print the scores."""
    say(
        f"{images(summary.images)} against {summary.classes} labels ({summary.labels}): "
        f"accuracy {_with_interval(summary.accuracy, summary.accuracy_interval)}, "
        f"NMI {_with_interval(summary.nmi, summary.nmi_interval)}, "
        f"ARI {_with_interval(summary.ari, summary.ari_interval)}, purity {summary.purity:.3f}."
    )
    if summary.noise:
        say(f"{images(summary.noise)} of no cluster (noise) count as one more cluster.")
    if summary.unlabelled:
        say(f"{images(summary.unlabelled)} have no label and were left out.")
    say(f"Confusion matrix: {summary.confusion_table}, {summary.confusion_picture}")


def show_comparison(comparison: Comparison) -> None:
    """Print clusterings side by side."""
    right = ("images", "clusters", "noise", "accuracy", "NMI", "ARI", "purity")
    table = new_table("workspace", "encoder", "method", *right, right=right)
    for row in comparison.rows:
        table.add_row(
            plain(row.workspace),
            plain(row.encoder),
            row.method,
            f"{row.images:,}",
            str(row.clusters),
            f"{row.noise / row.images:.0%}",
            _with_interval(row.accuracy, row.accuracy_interval),
            _with_interval(row.nmi, row.nmi_interval),
            _with_interval(row.ari, row.ari_interval),
            f"{row.purity:.3f}",
        )
    print_table(table)
    say(f"Labels: {comparison.labels}; in brackets 95 % bootstrap intervals.")


def _with_interval(value: float, ends: Interval) -> str:
    return f"{value:.3f} ({ends[0]:.3f}–{ends[1]:.3f})"
