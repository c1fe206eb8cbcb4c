"""The command `reconstruct`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import images, say
from imgcluster.cli.screen import SKIPPED, Screen, boundary

if TYPE_CHECKING:
    from imgcluster.commands.reconstruct import ReconstructSummary

__all__ = [
    "reconstruct_command",
    "show_reconstruct",
]


def reconstruct_command(
    paths: o.Paths,
    encoder: Annotated[str, typer.Option("--encoder", metavar="NAME|FILE.onnx", help="An encoder with a decoder.")],
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="Where pairs/ and reconstruction.csv go.")
    ] = Path("imgcluster-reconstructed"),
    denoised: Annotated[
        Path | None, typer.Option("--denoised", metavar="DIR", help="Write the reconstructions alone here, too.")
    ] = None,
    device: o.Device = "auto",
    workers: o.Workers = None,
    exclude: o.Exclude = None,
    no_recursive: o.NoRecursive = False,
    strict: o.Strict = False,
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Originals beside reconstructions, and the error of each: what was not learned is reconstructed badly."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.commands.reconstruct import reconstruct

        with screen.progress() as on_progress:
            summary = reconstruct(
                paths or (),
                encoder=encoder,
                output=output,
                denoised=denoised,
                device=device,
                workers=workers,
                exclude=exclude or (),
                recursive=not no_recursive,
                on_progress=on_progress,
            )
        screen.show(summary, show_reconstruct)
        if strict and summary.skipped:
            raise typer.Exit(SKIPPED)


def show_reconstruct(summary: ReconstructSummary) -> None:
    """Print what was reconstructed."""
    say(
        f"Reconstructed {images(summary.images)} with {summary.encoder} on {summary.device.upper()}: "
        f"mean squared error {summary.mean_mse:.5f} ({summary.seconds:.1f} s)."
    )
    say(f"Worst: {summary.worst}")
    if summary.skipped:
        say(f"Skipped {images(summary.skipped)} that could not be read; {summary.output}/skipped.csv says why.")
    if summary.denoised:
        say(f"Reconstructions alone: {summary.denoised}")
    say(f"Ranked by error: {summary.output}/reconstruction.csv")
    say(f"Originals beside reconstructions: {summary.output}/pairs")
