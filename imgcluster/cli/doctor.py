"""The command `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import new_table, plain, print_table, say
from imgcluster.cli.screen import Screen, boundary

if TYPE_CHECKING:
    from imgcluster.commands.doctor import DoctorSummary

__all__ = [
    "doctor_command",
    "show_doctor",
]


def doctor_command(
    encoder: o.EncoderName = o.ENCODER,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="DEVICE", help="Check this device only; exit code 5 if it does not run."),
    ] = None,
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Say which device really runs, how fast, and what is missing."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.commands.doctor import doctor

        summary = doctor(encoder=encoder, device=device)
        screen.show(summary, show_doctor)


def show_doctor(summary: DoctorSummary) -> None:
    """Print what runs here and what is missing."""
    say(
        f"imgcluster {summary.imgcluster}, Python {summary.python}, {summary.platform}, {summary.processors} processors"
    )
    say(", ".join(f"{name} {found}" for name, found in summary.packages.items()))
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
    say(f"Encoder {summary.encoder} runs on {summary.best.upper()} under --device auto.")
    missing = [name for name, present in summary.formats.items() if not present]
    say("All picture formats can be read." if not missing else f"Cannot be read here: {', '.join(missing)}.")
    for what, command in summary.missing:
        say(f"For {what}: {command}")
