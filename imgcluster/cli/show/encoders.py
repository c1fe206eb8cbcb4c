"""What is printed of encoders list, encoders info, reconstruct and generate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgcluster.cli.console import images, new_table, plain, print_table, say

if TYPE_CHECKING:
    from imgcluster.pipeline.encoders import EncoderEntry
    from imgcluster.pipeline.generate import GenerateSummary
    from imgcluster.pipeline.reconstruct import ReconstructSummary

__all__ = ["show_encoder", "show_encoders", "show_generate", "show_reconstruct"]


def show_encoders(entries: Sequence[EncoderEntry]) -> None:
    """Print all encoders as a table."""
    table = new_table("name", "values", "input", "trained on", "score", "licence", "from", right=("values",))
    for entry in entries:
        origin = "imgcluster" if entry.bundled else entry.file
        if entry.info is None:
            table.add_row(plain(entry.name), "", "", plain(entry.problem), "", "", plain(origin))
            continue
        info = entry.info
        table.add_row(
            plain(entry.name),
            f"{info.embedding_size:,}",
            f"{info.width}×{info.height}×{info.channels}",
            plain(info.trained_on),
            plain(info.score),
            plain(info.licence),
            plain(origin),
        )
    print_table(table)


def show_encoder(entry: EncoderEntry) -> None:
    """Print one encoder: its card where it has one, and what it says about itself."""
    assert entry.info is not None
    table = new_table("", "")
    table.show_header = False
    rows = {
        "name": entry.name,
        "version": entry.info.version,
        "file": entry.file,
        "values per image": f"{entry.info.embedding_size:,}, compared by {entry.info.metric}",
        "input": f"{entry.info.width}×{entry.info.height} px, {'grey' if entry.info.channels == 1 else 'RGB'}",
        "resize": f"{entry.info.resize} {entry.info.crop_fraction:g}, {entry.info.filter}",
        "trained on": entry.info.trained_on,
        "score": entry.info.score,
        "licence": entry.info.licence,
        "source": entry.info.source,
        "decoder": entry.info.decoder,
        "refined": entry.info.refined,
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, plain(value))
    print_table(table)
    if entry.card:
        say("\n" + entry.card.rstrip())


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


def show_generate(summary: GenerateSummary) -> None:
    """Print what was generated."""
    around = f" around {summary.around}" if summary.around else ""
    say(f"Generated {images(summary.images)}{around} with {summary.encoder}, seed {summary.seed}.")
    say(f"Grid: {summary.output}/grid.png")
