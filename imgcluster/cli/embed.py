"""The command `embed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import images, say
from imgcluster.cli.options import encoder_options, listed
from imgcluster.cli.screen import SKIPPED, Screen, boundary

if TYPE_CHECKING:
    from imgcluster.commands.embed import EmbedSummary

__all__ = [
    "embed_command",
    "show_embed",
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
        from imgcluster.commands.embed import embed

        with screen.progress() as report:
            summary = embed(
                paths or (),
                workspace=workspace,
                encoder=encoder,
                options=encoder_options(mean, std, scale, resize, image_size, pool, output),
                device=device,
                batch_size=batch_size,
                workers=workers,
                exclude=exclude or (),
                recursive=not no_recursive,
                files=listed(files_from),
                fresh=fresh,
                report=report,
            )
        screen.show(summary, show_embed)
        if strict and summary.skipped:
            raise typer.Exit(SKIPPED)


def show_embed(summary: EmbedSummary) -> None:
    """Print what `embed` did."""
    done = summary.new + summary.changed
    rate = f", {summary.images_per_second:,.0f} images/s" if summary.images_per_second else ""
    say(f"Embedded {images(done)} with {summary.encoder} on {summary.device.upper()} ({summary.seconds:.1f} s{rate}).")
    if summary.embedded != done or summary.vanished:
        parts = ((summary.new, "new"), (summary.changed, "changed"), (summary.unchanged, "unchanged"))
        told = [f"{count:,} {word}" for count, word in parts if count]
        told += [f"{summary.vanished:,} left because they are gone or left out now"] if summary.vanished else []
        say(f"The workspace holds {images(summary.embedded)}: {', '.join(told)}.")
    if len(summary.roots) > 1:
        say(f"They are of {len(summary.roots)} folders; --fresh keeps only those named now.")
    if summary.skipped:
        say(f"Skipped {images(summary.skipped)} that could not be read; {summary.workspace}/skipped.csv says why.")
    if summary.ignored:
        say(f"Left {summary.ignored:,} other {'file' if summary.ignored == 1 else 'files'} alone.")
    for note in summary.notes:
        say(f"Note: {note}")
