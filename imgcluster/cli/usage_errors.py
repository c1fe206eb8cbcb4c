"""Wrong usage of the command line: one line, as all errors, instead of Typer's boxes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final, cast

import typer
from typer.core import TyperGroup

from imgcluster.cli.interruption import wants_json
from imgcluster.cli.screen import print_error

__all__ = ["Commands"]

# The base class of these errors, which Typer does not export; it is that of click, or of Typer's own copy of click.
_USAGE_ERROR: Final = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
# What other tools call an option, which is not similar to its name here.
_OTHER_NAMES: Final = {"--clusters": "--k", "--n-clusters": "--k", "--num-clusters": "--k", "--n_clusters": "--k"}


class Commands(TyperGroup):
    """All commands; wrong usage ends in one line on standard error, and with ``--json`` in an object, too."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run the command line, as `TyperGroup.main` does."""
        if not extra.pop("standalone_mode", True):
            return super().main(args, standalone_mode=False, **extra)
        try:
            code = super().main(args, standalone_mode=False, **extra)
        except _USAGE_ERROR as error:
            # A command without arguments has printed its help.
            if type(error).__name__ != "NoArgsIsHelpError":
                print_error(_line(error), error.exit_code, as_json=wants_json(sys.argv[1:] if args is None else args))
            sys.exit(error.exit_code)
        sys.exit(code if isinstance(code, int) else 0)


def _line(error: typer.BadParameter) -> str:
    meant = _OTHER_NAMES.get(str(getattr(error, "option_name", "")))
    options = () if error.ctx is None else [name for option in error.ctx.command.params for name in option.opts]
    text = f"{error.message} (possible option: {meant})" if meant in options else error.format_message()
    text = text[:1].lower() + text[1:].removesuffix(".")
    return text if error.ctx is None else f"{text}; see {error.ctx.command_path} --help"
