"""The command `generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import OutputFolder, UnusedWorkspace, command, from_field
from imgcluster.cli.console import echo
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE, ClusterOptions, EmbedOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.generate import GenerateSummary

__all__ = ["generate_command", "show_generate"]


@command()
def generate_command(
    screen: Screen,
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME|FILE.onnx", help="A variational encoder with its decoder.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", help="The number of images.")] = 64,
    output: OutputFolder = Path("imgcluster-generated"),
    around: Annotated[
        Path | None, typer.Option("--around", metavar="IMAGE", help="Generate images similar to this one.")
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(
            "--spread",
            help="Standard deviation of the embeddings around it, 0.2 by default; that of all images is about 1.",
        ),
    ] = None,
    seed: from_field(ClusterOptions, "seed") = 0,  # type: ignore[valid-type]
    device: from_field(EmbedOptions, "device") = "auto",  # type: ignore[valid-type]
    workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Generate new images with the decoder of a variational autoencoder."""
    from imgcluster.commands.generate import generate

    with screen.progress() as on_progress:
        summary = generate(
            encoder=encoder,
            count=count,
            output=output,
            seed=seed,
            around=around,
            spread=spread,
            device=device,
            on_progress=on_progress,
        )
    screen.show(summary, show_generate)


def show_generate(summary: GenerateSummary) -> None:
    """Print the result of generate."""
    around = f" around {summary.around}" if summary.around else ""
    echo(f"Generated {counted(summary.images, 'image')}{around} with {summary.encoder}, seed {summary.seed}.")
    echo(f"Grid: {summary.output}/grid.png")
