"""The option ``--ray``, which may have no value, and what Ray prints."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Final

from typer.core import TyperCommand

from imgcluster.errors import UsageError
from imgcluster.options import RayOptions

__all__ = ["CommandWithRay", "hidden_output", "with_address", "with_cluster"]

_ADDRESS: Final = re.compile(r"auto|local|ray://.+|[^/]+:[0-9]+")


class CommandWithRay(TyperCommand):
    """A command whose option ``--ray`` may have no value: what follows it is one only if it looks like an address."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_address(args))


def with_address(arguments: list[str]) -> list[str]:
    """Return arguments of the command line in which each ``--ray`` has a value."""
    complete: list[str] = []
    for position, argument in enumerate(arguments):
        complete.append(argument)
        is_option = argument == "--ray" and "--" not in arguments[:position]
        if is_option and not any(map(_ADDRESS.fullmatch, arguments[position + 1 : position + 2])):
            complete.append("auto")
    return complete


def with_cluster(options: RayOptions) -> RayOptions | None:
    """Return the options of a Ray cluster; None without ``--ray``.

    Raises:
        UsageError: There are options of its workers only.
    """
    if options.address:
        return options
    if options.cpus_per_worker or options.gpus_per_worker is not None:
        raise UsageError("--cpus-per-worker and --gpus-per-worker are only for --ray; add it, or leave them out")
    return None


@contextmanager
def hidden_output() -> Iterator[None]:
    """Hide standard output during the block: Ray prints there what happens to its nodes."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield
