"""The commands `encoders list` and `encoders info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import new_table, plain, print_table, say
from imgcluster.cli.screen import Screen, boundary

if TYPE_CHECKING:
    from imgcluster.commands.encoders import EncoderEntry

__all__ = [
    "encoders_info_command",
    "encoders_list_command",
    "show_encoder",
    "show_encoders",
]


def encoders_list_command(
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """List the encoders: the bundled ones and your own."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.commands.encoders import encoder_list

        entries = encoder_list()
        screen.show(entries, show_encoders, as_json={"encoders": entries})


def encoders_info_command(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.onnx", help="The encoder.")],
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Say what an encoder is, where it comes from and how it scores."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.commands.encoders import encoder_info

        entry = encoder_info(name)
        screen.show(entry, show_encoder)


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
