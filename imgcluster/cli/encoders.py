"""The commands `encoders list`, `info`, `pull`, `remove`, `export` and `import`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import UnusedWorkspace, command, from_field
from imgcluster.cli.console import echo, file_size, new_table, plain, print_table
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE, EmbedOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.encoder_files import EncoderFiles
    from imgcluster.commands.encoders import EncoderEntry
    from imgcluster.encoders import EncoderInfo

__all__ = [
    "encoders_export_command",
    "encoders_import_command",
    "encoders_info_command",
    "encoders_list_command",
    "encoders_pull_command",
    "encoders_remove_command",
    "show_encoder",
    "show_encoders",
]


@command()
def encoders_list_command(screen: Screen, workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE)) -> None:
    """List the encoders: the bundled ones, your own, and those of the hub with their size and license."""
    from imgcluster.commands.encoders import encoder_list

    entries = encoder_list()
    screen.show(entries, show_encoders, as_json={"encoders": entries})


@command()
def encoders_info_command(
    screen: Screen,
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.onnx", help="The encoder.")],
    check: Annotated[
        bool, typer.Option("--check", help="Print the cosine of each installed precision to the highest.")
    ] = False,
    workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Describe an encoder: input, training data, score, license, model card."""
    from imgcluster.commands.encoders import encoder_info

    screen.show(encoder_info(name, check=check), show_encoder)


@command()
def encoders_pull_command(
    screen: Screen,
    name: Annotated[str, typer.Argument(metavar="NAME|hub:OWNER/REPO", help="The encoder.")],
    precision: from_field(EmbedOptions, "precision") = "auto",  # type: ignore[valid-type]
    text: Annotated[bool, typer.Option("--text", help="Download its text part, too.")] = False,
    workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Download an encoder of the Hugging Face hub, verify it and pin it."""
    from imgcluster.commands.encoder_files import encoder_pull

    with screen.progress() as on_progress:
        entry = encoder_pull(name, precision=precision, text=text, on_progress=on_progress)
    screen.show(entry, _show_pulled)


@command()
def encoders_remove_command(
    screen: Screen,
    name: Annotated[str, typer.Argument(metavar="NAME|hub:OWNER/REPO", help="The encoder.")],
    workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Remove a downloaded encoder."""
    from imgcluster.commands.encoder_files import encoder_remove

    screen.show(encoder_remove(name), lambda result: _show_files("Removed", result))


@command()
def encoders_export_command(
    screen: Screen,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The downloaded encoder; NAME.tar also names the file.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE.tar", help="The file to write; by default NAME.tar.")
    ] = None,
    workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Write a downloaded encoder to a tar file, for a machine without network."""
    from imgcluster.commands.encoder_files import encoder_export

    if file is None and name.endswith(".tar"):
        name, file = Path(name).stem, Path(name)
    screen.show(encoder_export(name, file), lambda result: _show_files("Exported", result))


@command()
def encoders_import_command(
    screen: Screen,
    file: Annotated[Path, typer.Argument(metavar="FILE.tar", help="A file that encoders export wrote.")],
    workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Install an encoder from a tar file, after verifying it."""
    from imgcluster.commands.encoder_files import encoder_import

    screen.show(encoder_import(file), lambda result: _show_files("Imported", result))


def show_encoders(entries: Sequence[EncoderEntry]) -> None:
    """Print all encoders as a table with one line each, then those that the name does not find, or that do not work."""
    table = new_table("name", "values", "input", "size", "license", "score", "trained on", right=("values", "size"))
    for column in table.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    for entry in entries:
        if entry.info and entry.installed and not entry.shadowed:
            table.add_row(
                plain(entry.name),
                f"{entry.info.embedding_size:,}",
                f"{entry.info.width}×{entry.info.height}×{entry.info.channels}",
                file_size(entry.size),
                plain(_shorten(entry.info.license)),
                plain(_shorten(_accuracy(entry.info.score))),
                plain(_shorten(entry.info.trained_on)),
            )
    print_table(table)
    absent = [entry for entry in entries if not entry.installed]
    if absent:
        names = ", ".join(
            f"{entry.name} ({file_size(entry.size)}, {entry.info.license})" for entry in absent if entry.info
        )
        echo(f"On the Hugging Face hub, downloaded when they are used: {names}.")
    for entry in entries:
        if entry.shadowed:
            echo(f"{entry.name} is another encoder; your own of that name needs its path: --encoder {entry.file}")
        if entry.problem:
            echo(f"{entry.file} cannot be used: {entry.problem}")


def _accuracy(score: str) -> str:
    """Return the accuracy in the description of a score; the whole description if it has none."""
    accuracy = re.search(r"accuracy [\d.]+\d", score)
    return accuracy.group() if accuracy else score


def _shorten(text: str) -> str:
    """Return the first part of a description, so short that a table of encoders fits into 100 columns."""
    return textwrap.shorten(re.split(r", | \(|; ", text)[0], 20, placeholder=" …")


def show_encoder(entry: EncoderEntry) -> None:
    """Print the description of one encoder, and its model card if it has one."""
    assert entry.info is not None
    info = entry.info
    table = new_table("", "")
    table.show_header = False
    rows = {
        "name": entry.name + (" (another encoder has this name; give the file)" if entry.shadowed else ""),
        "version": info.version,
        "file": entry.file if entry.installed else f"not installed; imgcluster encoders pull {entry.name}",
        "size": file_size(entry.size),
        "precision": _precisions(entry),
        "values per image": f"{info.embedding_size:,}, compared by {info.metric} distance",
        "input": f"{info.width}×{info.height} px, {'gray' if info.channels == 1 else 'RGB'}",
        "resize": _resizing(info),
        **_options(entry),
        "output": info.output + (f", of {', '.join(entry.outputs)}" if len(entry.outputs) > 1 else ""),
        "trained on": info.trained_on,
        "score": info.score,
        "license": info.license,
        "source": info.source,
        "decoder": info.decoder,
        "refined": info.refined,
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, plain(value))
    print_table(table)
    for precision, cosine in entry.cosines.items():
        echo(f"{precision}: cosine to {entry.precisions[0]} at least {cosine:.4f}")
    if entry.card:
        echo("\n" + entry.card.rstrip())


def _precisions(entry: EncoderEntry) -> str:
    """Return the precision that runs on the CPU by default, and the others that there are."""
    assert entry.info is not None
    if not entry.info.precision:
        return ", ".join(entry.precisions) if len(entry.precisions) > 1 else ""
    return f"{entry.info.precision}, of {', '.join(entry.precisions)}"


def _resizing(info: EncoderInfo) -> str:
    if info.resize_edge and info.resize == "crop":
        return f"shorter side to {info.resize_edge} px, center crop, {info.filter}"
    if info.resize_edge:
        return f"stretch to {info.resize_edge}×{info.resize_edge} px, center crop, {info.filter}"
    return f"{info.resize} {info.crop_fraction:g}, {info.filter}"


def _options(entry: EncoderEntry) -> dict[str, str]:
    """Return the options of an encoder that does not describe itself, as rows of its table."""
    if entry.options is None:
        return {}
    options = entry.options
    mean, std = (",".join(f"{value:.6g}" for value in values or ()) for values in (options.mean, options.std))
    return {
        "scale": "" if options.scale is None else f"{options.scale:.6g}",
        "mean": mean,
        "std": std,
        "pool": options.pool or "",
    }


def _show_pulled(entry: EncoderEntry) -> None:
    assert entry.info is not None
    echo(
        f"Installed {entry.name} ({file_size(entry.size)}, license {entry.info.license or 'not stated'}): {entry.file}"
    )


def _show_files(verb: str, result: EncoderFiles) -> None:
    where = f": {result.file}" if result.file else ""
    facts = f"{counted(result.files, 'file')}, {file_size(result.size)}, license {result.license or 'not stated'}"
    echo(f"{verb} {result.name} ({facts}){where}")
