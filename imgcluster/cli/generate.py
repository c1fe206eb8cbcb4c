"""The command `generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import images, say
from imgcluster.cli.screen import Screen, boundary

if TYPE_CHECKING:
    from imgcluster.commands.generate import GenerateSummary

__all__ = [
    "generate_command",
    "show_generate",
]


def generate_command(
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME|FILE.onnx", help="A variational encoder with its decoder.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", help="How many images.")] = 64,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the images go.")] = Path(
        "imgcluster-generated"
    ),
    around: Annotated[
        Path | None, typer.Option("--around", metavar="IMAGE", help="Make images similar to this one.")
    ] = None,
    spread: Annotated[float, typer.Option("--spread", help="How far from it; all images together have about 1.")] = 0.2,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """New images from the decoder of a variational autoencoder."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
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
    """Print what was generated."""
    around = f" around {summary.around}" if summary.around else ""
    say(f"Generated {images(summary.images)}{around} with {summary.encoder}, seed {summary.seed}.")
    say(f"Grid: {summary.output}/grid.png")
