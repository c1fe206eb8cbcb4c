"""The commands `encoders list` and `encoders info`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import AnyWorkspace, command
from imgcluster.cli.console import echo, new_table, plain, print_table
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from imgcluster.commands.encoders import EncoderEntry

__all__ = [
    "encoders_info_command",
    "encoders_list_command",
    "show_encoder",
    "show_encoders",
]


@command()
def encoders_list_command(screen: Screen, workspace: AnyWorkspace = Path(DEFAULT_WORKSPACE)) -> None:
    """List the available encoders: the bundled ones and your own."""
    from imgcluster.commands.encoders import encoder_list

    entries = encoder_list()
    screen.show(entries, show_encoders, as_json={"encoders": entries})


@command()
def encoders_info_command(
    screen: Screen,
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.onnx", help="The encoder.")],
    workspace: AnyWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Describe an encoder: input, training data, score, license, model card."""
    from imgcluster.commands.encoders import encoder_info

    screen.show(encoder_info(name), show_encoder)


def show_encoders(entries: Sequence[EncoderEntry]) -> None:
    """Print all encoders as a table with one line each, then those that the name does not find, or that do not work."""
    table = new_table("name", "values", "input", "score", "trained on", right=("values",))
    for column in table.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    for entry in entries:
        if entry.info and not entry.shadowed:
            table.add_row(
                plain(entry.name),
                f"{entry.info.embedding_size:,}",
                f"{entry.info.width}×{entry.info.height}×{entry.info.channels}",
                plain(_shorten(_accuracy(entry.info.score))),
                plain(_shorten(entry.info.trained_on)),
            )
    print_table(table)
    for entry in entries:
        if entry.shadowed:
            echo(f"{entry.name} is the bundled encoder; your own of that name needs its path: --encoder {entry.file}")
        if entry.problem:
            echo(f"{entry.file} cannot be used: {entry.problem}")


def _accuracy(score: str) -> str:
    """Return the accuracy in the description of a score; the whole description if it has none."""
    accuracy = re.search(r"accuracy [\d.]+\d", score)
    return accuracy.group() if accuracy else score


def _shorten(text: str) -> str:
    """Return the first part of a description, so short that a table of encoders fits into 100 columns."""
    return textwrap.shorten(re.split(r", | \(|; ", text)[0], 28, placeholder=" …")


def show_encoder(entry: EncoderEntry) -> None:
    """Print the description of one encoder, and its model card if it has one."""
    assert entry.info is not None
    info = entry.info
    table = new_table("", "")
    table.show_header = False
    rows = {
        "name": entry.name + (" (shadowed by the bundled encoder; give the file)" if entry.shadowed else ""),
        "version": info.version,
        "file": entry.file,
        "values per image": f"{info.embedding_size:,}, compared by {info.metric} distance",
        "input": f"{info.width}×{info.height} px, {'gray' if info.channels == 1 else 'RGB'}",
        "resize": f"{info.resize} {info.crop_fraction:g}, {info.filter}",
        "output": info.output and f"{info.output}, of {', '.join(entry.outputs)}",
        "trained on": info.trained_on,
        "score": info.score,
        "license": info.licence,
        "source": info.source,
        "decoder": info.decoder,
        "refined": info.refined,
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, plain(value))
    print_table(table)
    if entry.card:
        echo("\n" + entry.card.rstrip())
