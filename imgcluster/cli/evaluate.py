"""The command `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import WorkspaceOption, command, from_field
from imgcluster.cli.console import echo, new_table, plain, print_table
from imgcluster.cli.screen import Screen
from imgcluster.errors import UsageError
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.compare_clusterings import Comparison
    from imgcluster.commands.evaluate import EvaluateSummary
    from imgcluster.evaluation.external import Interval

__all__ = [
    "evaluate_command",
    "show_comparison",
    "show_evaluate",
]


@command()
def evaluate_command(
    screen: Screen,
    workspaces: Annotated[
        list[Path] | None,
        typer.Argument(metavar="WORKSPACE…", help="Workspaces to compare, instead of -w DIR.", show_default=False),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="METHOD",
            envvar="IMGCLUSTER_EVALUATE_METHOD",
            help="Cluster with this method for a comparison; nothing is written. Can be repeated.",
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "-k", "--k", min=1, envvar="IMGCLUSTER_EVALUATE_K", help="The number of clusters for those methods."
        ),
    ] = None,
    assign_noise: Annotated[
        bool,
        typer.Option(
            "--assign-noise",
            envvar="IMGCLUSTER_EVALUATE_ASSIGN_NOISE",
            help="With those methods, assign noise to the clusters of its nearest neighbors.",
        ),
    ] = False,
    seed: from_field(ClusterOptions, "seed") = 0,  # type: ignore[valid-type]
    labels: Annotated[
        str, typer.Option("--labels", metavar="folders|FILE.csv", help="Folder names, or a CSV with path and label.")
    ] = "folders",
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Score the clustering against labels: accuracy, NMI, ARI, purity, confusion matrix.

    With several workspaces or methods, the scores are printed side by side.
    """
    if not method and (k is not None or assign_noise):
        raise UsageError("--k and --assign-noise are for the comparison of methods: add --method METHOD")
    if not workspaces and not method:
        from imgcluster.commands.evaluate import evaluate

        screen.show(evaluate(labels=labels, workspace=workspace), show_evaluate)
        return
    from imgcluster.commands.compare_clusterings import compare

    with screen.progress() as on_progress:
        comparison = compare(
            workspaces or (workspace,),
            methods=method or (),
            labels=labels,
            k=k,
            assign_noise=assign_noise,
            seed=seed,
            on_progress=on_progress,
        )
    screen.show(comparison, show_comparison)


def show_evaluate(summary: EvaluateSummary) -> None:
    """Print the scores."""
    echo(
        f"{counted(summary.images, 'image')} against {summary.classes} labels ({summary.labels}): "
        f"accuracy {_with_interval(summary.accuracy, summary.accuracy_interval)}, "
        f"NMI {_with_interval(summary.nmi, summary.nmi_interval)}, "
        f"ARI {_with_interval(summary.ari, summary.ari_interval)}, purity {summary.purity:.3f}."
    )
    if summary.noise:
        echo(f"{counted(summary.noise, 'image')} in no cluster (noise), counted as one more cluster.")
    if summary.unlabelled:
        echo(f"Ignored {counted(summary.unlabelled, 'image')} without a label.")
    echo(f"Confusion matrix: {summary.confusion_table}, {summary.confusion_picture}")


def show_comparison(comparison: Comparison) -> None:
    """Print the scores of several clusterings as a table."""
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
    echo(f"Labels: {comparison.labels}; in brackets 95 % bootstrap intervals.")


def _with_interval(value: float, ends: Interval) -> str:
    return f"{value:.3f} ({ends[0]:.3f}–{ends[1]:.3f})"
