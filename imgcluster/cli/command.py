"""Commands from options dataclasses: each field becomes an option with flags, environment variable and help."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperOption
from typer.models import OptionInfo

from imgcluster.cli.screen import Screen, boundary
from imgcluster.errors import UsageError
from imgcluster.option_fields import option

__all__ = [
    "CommandWithMethods",
    "DiscardDecisions",
    "DryRun",
    "FilesFrom",
    "OutputFolder",
    "Paths",
    "Strict",
    "UnusedWorkspace",
    "WorkspaceOption",
    "command",
    "from_field",
    "listed",
]

_GENERAL: Final = "General"

Paths = Annotated[
    # Not Path, which makes one slash of two in a URL.
    list[str] | None,
    typer.Argument(
        metavar="PATH…", help="Folders of images, or images; s3://…, gs://… and https://… too.", show_default=False
    ),
]
WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "-w",
        "--workspace",
        metavar="DIR",
        help="The folder for all results.",
        rich_help_panel=_GENERAL,
    ),
]
UnusedWorkspace = Annotated[
    Path, typer.Option("-w", "--workspace", hidden=True, help="Accepted by every command; this one does not use it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]
DiscardDecisions = Annotated[bool, typer.Option("--discard-decisions", help="Drop corrections that cannot be kept.")]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        "--files-from",
        metavar="FILE|-",
        help="Read more paths from a file or standard input: one per line, or separated by NUL.",
        rich_help_panel="Which files",
    ),
]
OutputFolder = Annotated[
    Path,
    typer.Option("--output", metavar="DIR", envvar="IMGCLUSTER_OUTPUT_FOLDER", help="The folder for the results."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with code 3 if images were skipped.", rich_help_panel="Which files")
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    as_json: bool = option(False, "Print one JSON object on standard output.", flags=("--json",), group=_GENERAL)
    quiet: bool = option(False, "Print errors only.", flags=("-q", "--quiet"), group=_GENERAL)
    verbose: bool = option(False, "Print details, too.", flags=("-v", "--verbose"), group=_GENERAL)


def command(**groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that turns a function into a Typer command.

    The function's first parameter is the `Screen`, made from ``--json``, ``-q`` and ``-v``. Each parameter named in
    `groups` is an options dataclass, whose fields (also those of nested dataclasses) become options. Exceptions are
    handled by `screen.boundary`.
    """
    all_groups = {**groups, "output": _Output}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        fields = {name: list(_fields(group)) for name, group in all_groups.items()}
        parameters: list[inspect.Parameter] = []
        for parameter in own:
            if parameter.name in groups:
                parameters += [_parameter(entry, annotation) for entry, annotation in fields[parameter.name]]
            else:
                parameters.append(_with_environment_variable(parameter))
        parameters += [_parameter(entry, annotation) for entry, annotation in fields["output"]]

        @functools.wraps(function)
        def run(**values: Any) -> None:
            output = {entry.name: values.pop(entry.name) for entry, _ in fields["output"]}
            screen = Screen(**output)
            with boundary(screen):
                options = {name: _build(group, values) for name, group in groups.items()}
                function(screen, **options, **values)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


class CommandWithMethods(TyperCommand):
    """A command whose help lists the clustering methods; they are imported only when it is printed."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from imgcluster.clustering import METHODS, choose_method

        names = ", ".join((f"auto ({choose_method('auto')})", *METHODS))
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.help:
                parameter.help = parameter.help.replace("{methods}", names)
        super().format_help(ctx, formatter)


def from_field(group: type, name: str) -> Any:
    """Return the annotation of one field of an options dataclass, for a command that needs only this option."""
    entry, annotation = next((entry, hint) for entry, hint in _fields(group) if entry.name == name)
    return _parameter(entry, annotation).annotation


def _fields(group: type) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    """Yield the fields of a dataclass with their types; nested dataclasses are flattened."""
    hints = typing.get_type_hints(group)
    for entry in dataclasses.fields(group):
        if dataclasses.is_dataclass(hints[entry.name]):
            yield from _fields(hints[entry.name])
        else:
            yield entry, hints[entry.name]


def _parameter(entry: dataclasses.Field[Any], annotation: Any) -> inspect.Parameter:
    facts, default = entry.metadata, entry.default
    kind = _kind(entry.name, annotation)
    negated = default is True
    flags = facts["flags"] or ("--" + entry.name.replace("_", "-"),)
    information = typer.Option(
        *flags,
        help=facts["meaning"],
        metavar=facts["metavar"] or None,
        rich_help_panel=facts["group"] or None,
        envvar=facts["variable"] or None,
        show_default=default is not None and not isinstance(default, bool | tuple),
    )
    parameter = inspect.Parameter(
        entry.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=False if negated else None if default == () else default,
        annotation=Annotated[kind, information],
    )
    return _with_environment_variable(parameter)


def _with_environment_variable(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return the parameter as keyword-only, with the environment variable ``IMGCLUSTER_`` plus its flag, and a metavar.

    An option that names its variable keeps it: ``--output`` differs between commands.
    """
    for information in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(information, OptionInfo):
            # In an annotation, Typer takes the first flag for the default.
            flags = (information.default, *(information.param_decls or ()))
            flag = next(
                (flag for flag in reversed(flags) if isinstance(flag, str) and flag[:2] == "--"), parameter.name
            )
            information.envvar = information.envvar or "IMGCLUSTER_" + flag.lstrip("-").replace("-", "_").upper()
            if information.metavar is None:
                information.metavar = _metavar(typing.get_args(parameter.annotation)[0])
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _metavar(kind: Any) -> str | None:
    """Return what ``--help`` prints in the place of a value; nothing for an option without one."""
    kinds = {kind, *typing.get_args(kind)}
    return "" if bool in kinds else "N" if int in kinds else "NUMBER" if float in kinds else None


def _kind(name: str, annotation: Any) -> Any:
    """Return the type that Typer parses; options in `_PARSERS` are parsed from text."""
    if _parser(name, annotation):
        return str | None
    if annotation in (bool, int, float, str):
        return annotation
    choices = typing.get_args(annotation)
    if type(None) in choices:
        return next(kind for kind in (int, float, str, Path) if kind in choices) | None
    return list[str] | None if "Sequence" in str(annotation) else str


def _parser(name: str, annotation: Any) -> Callable[[str, str], Any] | None:
    """Return the function that turns the text of an option into its value; None if Typer does."""
    return None if annotation == int | None else _PARSERS.get(name)


def _build(group: type, values: dict[str, Any]) -> Any:
    """Return an options dataclass made from the command line's `values`, and remove them from `values`."""
    hints = typing.get_type_hints(group)
    fields = {}
    for entry in dataclasses.fields(group):
        if dataclasses.is_dataclass(hints[entry.name]):
            fields[entry.name] = _build(typing.cast(type, hints[entry.name]), values)
            continue
        value = values.pop(entry.name)
        parse = _parser(entry.name, hints[entry.name])
        if parse is not None and value is not None:
            value = parse(value, "--" + entry.name.replace("_", "-"))
        elif entry.default is True:
            value = not value
        elif entry.default == ():
            value = tuple(value or ())
        fields[entry.name] = value
    return group(**fields)


def numbers(text: str, flag: str) -> tuple[float, ...]:
    """Parse comma-separated numbers such as ``0.485,0.456,0.406``.

    Raises:
        UsageError: A part is not a number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{flag} {text!r} is not allowed; give one number, or one per channel: 0.5,0.5,0.5") from None


def size(text: str, flag: str) -> tuple[int, int]:
    """Parse an image size such as ``224`` or ``320x240`` (width first).

    Raises:
        UsageError: The format is invalid.
    """
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) not in (1, 2) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"{flag} {text!r} is not allowed; give 224, or 320x240 (width first)")
    return int(parts[0]), int(parts[-1])


def count(text: str, flag: str) -> int | str:
    """Return an integer if `text` is one; ``auto`` and ranges are parsed by the command."""
    return int(text) if text.strip().isdecimal() else text


def clusters(text: str, flag: str) -> int | str:
    """Return a positive number of clusters, or ``auto``.

    Raises:
        UsageError: It is something else.
    """
    if text == "auto":
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(f"{flag} {text!r} is not allowed; give the number of clusters, at least 1, or auto")


_PARSERS: Final[dict[str, Callable[[str, str], Any]]] = {
    "k": count,
    "refine": clusters,
    "mean": numbers,
    "std": numbers,
    "image_size": size,
}


def listed(source: str | None) -> list[str]:
    """Return the paths that ``--files-from`` lists.

    Raises:
        UsageError: The file does not exist.
    """
    if source is None:
        return []
    from imgcluster.images.find import read_list

    if source == "-":
        return read_list(sys.stdin.buffer)
    if not Path(source).is_file():
        raise UsageError(f"--files-from {source} does not exist; give a file, or - for standard input")
    with Path(source).open("rb") as file:
        return read_list(file)
