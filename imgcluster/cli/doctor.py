"""The command `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import UnusedWorkspace, command
from imgcluster.cli.console import echo, new_table, plain, print_table
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_ENCODER, DEFAULT_WORKSPACE
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.doctor import DoctorSummary

__all__ = [
    "doctor_command",
    "show_doctor",
]


@command()
def doctor_command(
    screen: Screen,
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME|FILE.onnx|hub:…", help="The encoder to run.")
    ] = DEFAULT_ENCODER,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="DEVICE", help="Check this device only; exit code 5 if it does not run."),
    ] = None,
    workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Check which devices work, how fast they are, and what is missing."""
    from imgcluster.commands.doctor import doctor

    screen.show(doctor(encoder=encoder, device=device), show_doctor)


def show_doctor(summary: DoctorSummary) -> None:
    """Print which devices work, and what is missing."""
    processors = counted(summary.processors, "processor")
    echo(f"imgcluster {summary.imgcluster}, Python {summary.python}, {summary.platform}, {processors}")
    echo(", ".join(f"{name} {version}" for name, version in summary.packages.items()))
    table = new_table("device", "runs", "images/s", "difference from CPU", "", right=("images/s",))
    for check in summary.devices:
        table.add_row(
            check.device,
            "yes" if check.runs else "no",
            "" if check.images_per_second is None else f"{check.images_per_second:,.0f}",
            "" if check.difference is None else f"{check.difference:.1e}",
            plain(check.problem),
        )
    print_table(table)
    echo(f"Encoder {summary.encoder} runs on {summary.best.upper()} under --device auto.")
    missing = [name for name, present in summary.formats.items() if not present]
    echo("All image formats can be read." if not missing else f"Not available here: {', '.join(missing)}.")
    for purpose, remedy in summary.missing:
        echo(f"For {purpose}: {remedy}")
