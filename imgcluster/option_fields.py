"""Options as fields of dataclasses, which carry what the command line needs to know of them."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from imgcluster.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["make_booleans", "make_integers", "make_numbers", "option", "with_changes"]

_Options = TypeVar("_Options", bound="DataclassInstance")


def option(
    default: Any,
    meaning: str,
    *,
    flags: tuple[str, ...] = (),
    metavar: str = "",
    group: str = "",
    minimum: int | None = None,
    variable: str = "",
) -> Any:
    """Return a dataclass field that carries what the command line needs to know of an option.

    Args:
        default: The default.
        meaning: What it does, as ``--help`` prints it, which replaces ``{methods}`` by the names of clustering methods.
        flags: Its names on the command line, where they are not ``--field-name``.
        metavar: What ``--help`` prints in the place of the value.
        group: The heading that ``--help`` lists it under.
        minimum: The smallest number allowed.
        variable: Its environment variable, where that is not ``IMGCLUSTER_FIELD_NAME``.
    """
    facts = {
        "meaning": meaning,
        "flags": flags,
        "metavar": metavar,
        "group": group,
        "minimum": minimum,
        "variable": variable,
    }
    return dataclasses.field(default=default, metadata=facts)


def with_changes(options: _Options, changes: dict[str, Any]) -> _Options:
    """Return `options` with some fields replaced.

    Raises:
        UsageError: There is no such field.
    """
    names = [entry.name for entry in dataclasses.fields(options)]
    for name in changes:
        if name not in names:
            raise UsageError(f"there is no option {name!r}; allowed are: {', '.join(names)}")
    return dataclasses.replace(options, **changes)


def make_integers(options: DataclassInstance, *names: str) -> None:
    """Turn numbers of other libraries (NumPy's, say) into plain ones, which JSON can hold.

    Raises:
        UsageError: A value is neither None nor a whole number, or it is below the option's minimum.
    """
    _convert(options, names, operator.index, "a whole number")
    for entry in dataclasses.fields(options):
        value, minimum = getattr(options, entry.name), entry.metadata.get("minimum")
        if minimum is not None and value is not None and value < minimum:
            raise UsageError(f"--{entry.name.replace('_', '-')} {value} is not allowed; it is at least {minimum}")


def make_numbers(options: DataclassInstance, *names: str) -> None:
    """Do the same for ``float``."""
    _convert(options, names, float, "a number")


def make_booleans(options: DataclassInstance, *names: str) -> None:
    """Do the same for ``bool``."""
    _convert(options, names, _boolean, "True or False")


def _convert(options: DataclassInstance, names: Sequence[str], plain: Callable[[Any], Any], kind: str) -> None:
    for name in names:
        value = getattr(options, name)
        if value is None:
            continue
        try:
            object.__setattr__(options, name, plain(value))
        except (TypeError, ValueError):
            raise UsageError(f"{name} {value!r} is not allowed; it is {kind}") from None


def _boolean(value: Any) -> bool:
    # NumPy's are equal to Python's, but are no instances of `bool`.
    if value not in (True, False):
        raise ValueError
    return bool(value)
