"""The command `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import WorkspaceOption, command
from imgcluster.cli.console import echo
from imgcluster.cli.screen import Screen
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster.commands.verify import VerifySummary

__all__ = ["verify_command"]

# The output names so many paths of a finding; --json has all.
_SHOWN = 3


@command()
def verify_command(
    screen: Screen,
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the images, only their size and time.")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="Repeat the clustering, and compare.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild what can be rebuilt.")] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> None:
    """Check the files of a workspace against each other and the images; exit code 1 if there is a problem."""
    from imgcluster.commands.verify import verify

    with screen.progress() as on_progress:
        summary = verify(workspace=workspace, quick=quick, rerun=rerun, repair=repair, on_progress=on_progress)
    screen.show(summary, _show)
    if not summary.consistent:
        raise typer.Exit(1)


def _show(summary: VerifySummary) -> None:
    for text in summary.repaired:
        echo(f"Repaired: {text}")
    for finding in summary.findings:
        shown = ", ".join(finding.paths[:_SHOWN])
        more = f", and {len(finding.paths) - _SHOWN:,} more" if len(finding.paths) > _SHOWN else ""
        about = f": {shown}{more}" if shown and shown not in finding.message else ""
        remedy = finding.remedy or ("--repair rebuilds it" if finding.repair else "")
        end = f"; {remedy}" if remedy else ""
        echo(f"{finding.level.capitalize()} ({finding.check}): {finding.message}{about}{end}")
    problems = sum(finding.level == "problem" for finding in summary.findings)
    result = "No problem" if summary.consistent else counted(problems, "problem")
    compared = f"the content of {summary.read:,} was compared" if summary.read else "their content was not compared"
    echo(f"{result} found in a workspace of {counted(summary.images, 'image')}; {compared} ({summary.seconds:.1f} s).")
