"""The command `compare`, which compares encoders; `evaluate` compares clusterings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import Paths, command, from_field
from imgcluster.cli.console import echo, files_of, new_table, plain, print_table
from imgcluster.cli.screen import Screen
from imgcluster.options import ClusterOptions, EmbedOptions

if TYPE_CHECKING:
    from imgcluster.commands.compare_encoders import EncoderComparison

__all__ = ["compare_command", "show_encoder_comparison"]


@command()
def compare_command(
    screen: Screen,
    paths: Paths = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option("--encoder", metavar="NAME|FILE.onnx|hub:…", help="An encoder to compare; give two or more."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", metavar="folders|FILE.csv", help="Also score: folder names, or a CSV with path and label."
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("-k", "--k", help="The number of clusters; estimated by default.")] = None,
    device: from_field(EmbedOptions, "device") = "auto",  # type: ignore[valid-type]
    seed: from_field(ClusterOptions, "seed") = 0,  # type: ignore[valid-type]
    folder: Annotated[
        Path,
        typer.Option(
            "-w",
            "--workspace",
            metavar="DIR",
            envvar="IMGCLUSTER_COMPARE_FOLDER",
            help="The folder for one workspace per encoder; repeating the command continues there.",
        ),
    ] = Path("imgcluster-compare"),
) -> None:
    """Embed and cluster the same images with several encoders, side by side."""
    from imgcluster.commands.compare_encoders import compare_encoders

    with screen.progress() as on_progress:
        comparison = compare_encoders(
            paths or (),
            encoder or (),
            folder=folder,
            labels=labels,
            embedding=EmbedOptions(device=device),
            clustering=ClusterOptions(k=k, seed=seed),
            on_progress=on_progress,
        )
    screen.show(comparison, show_encoder_comparison)


def show_encoder_comparison(comparison: EncoderComparison) -> None:
    """Print the encoders as a table, and the recommendation."""
    scores = () if comparison.labels is None else ("accuracy", "NMI", "ARI", "purity")
    right = ("images/s", "MB", "values", "clusters", "noise", "stability", "agreement", *scores)
    table = new_table("encoder", "device", *right, right=right)
    for row in comparison.rows:
        name = f"{row.encoder} ({row.precision})" if row.precision else row.encoder
        values = [f"{value:.3f}" for value in (row.accuracy, row.nmi, row.ari, row.purity) if value is not None]
        table.add_row(
            plain(name),
            row.device,
            f"{row.images_per_second:,.0f}",
            f"{row.size / 10**6:,.1f}",
            f"{row.embedding_size:,}",
            str(row.clusters),
            f"{row.noise / row.images:.0%}",
            "" if row.stability is None else f"{row.stability:.3f}",
            f"{row.agreement:.3f}",
            *values,
        )
    print_table(table)
    echo("Agreement is the mean adjusted Rand index with the clusters of the other encoders.")
    if comparison.labels is not None:
        echo(f"Labels: {comparison.labels}.")
    echo(comparison.recommendation)
    for row in comparison.rows:
        echo(f"Page of {row.encoder}: {files_of(row.workspace)}/report.html")
    if comparison.labels is None:
        echo("Note: stable clusters need not be the right ones; look at the pages, or give --labels to compare scores.")
