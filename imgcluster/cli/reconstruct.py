"""The command `reconstruct`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import OutputFolder, Paths, Strict, UnusedWorkspace, command, from_field
from imgcluster.cli.console import echo
from imgcluster.cli.screen import SKIPPED, Screen
from imgcluster.options import DEFAULT_WORKSPACE, EmbedOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.reconstruct import ReconstructSummary

__all__ = ["reconstruct_command", "show_reconstruct"]


@command()
def reconstruct_command(
    screen: Screen,
    encoder: Annotated[str, typer.Option("--encoder", metavar="NAME|FILE.onnx", help="An encoder with a decoder.")],
    paths: Paths = None,
    output: OutputFolder = Path("imgcluster-reconstructed"),
    denoised: Annotated[
        Path | None,
        typer.Option("--denoised", metavar="DIR", help="Also write the reconstructions alone to this folder."),
    ] = None,
    device: from_field(EmbedOptions, "device") = "auto",  # type: ignore[valid-type]
    workers: from_field(EmbedOptions, "workers") = None,  # type: ignore[valid-type]
    exclude: from_field(EmbedOptions, "exclude") = None,  # type: ignore[valid-type]
    no_recursive: from_field(EmbedOptions, "recursive") = False,  # type: ignore[valid-type]
    strict: Strict = False,
    workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Reconstruct images with an autoencoder and rank them by error; outliers have large errors."""
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
    """Print the result of reconstruct."""
    echo(
        f"Reconstructed {counted(summary.images, 'image')} with {summary.encoder} on {summary.device.upper()}: "
        f"mean squared error {summary.mean_mse:.5f} ({summary.seconds:.1f} s)."
    )
    echo(f"Largest error: {summary.worst}")
    if summary.skipped:
        echo(
            f"Skipped {counted(summary.skipped, 'image')} that could not be read; reasons: {summary.output}/skipped.csv"
        )
    if summary.denoised:
        echo(f"Reconstructions: {summary.denoised}")
    echo(f"Ranking by error: {summary.output}/reconstruction.csv")
    echo(f"Originals beside reconstructions: {summary.output}/pairs")
