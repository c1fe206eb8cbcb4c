"""Checking values from JSON: what is in a file may be damaged, or from a stranger.

A shape is written like the value: ``{"name": str, "size?": int}`` is an object with a text and, unless it is missing,
an integer; other keys are allowed. ``[str]`` is a list of texts, ``{str: int}`` maps texts to integers, and a tuple
contains alternatives. A range or a frozenset contains all allowed values, None is null, and `object` is any value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["check", "parse_integer", "parse_json", "quoted"]

_LONGEST: Final = 60
# Far more than any file of imgcluster has, and few enough for functions that call themselves.
_DEEPEST: Final = 50
# Integers fit into 64 bits.
_INTEGERS: Final = range(-(2**63), 2**63)

_WORDS: Final[dict[Any, str]] = {
    str: "text",
    bool: "true or false",
    int: "an integer of at most 64 bits",
    float: "a finite number",
    None: "null",
    object: "a value",
}


def parse_json(text: str, shape: Any) -> Any:
    """Return the value in a JSON text.

    Raises:
        ValueError: It is not JSON, is nested very deeply, or does not have the shape.
    """
    try:
        value = json.loads(text, parse_int=parse_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_depth(value)
    check(value, shape)
    return value


def parse_integer(digits: str) -> int:
    """Return the integer that `json.loads` found in a text.

    Raises:
        ValueError: It has more digits than Python converts.
    """
    try:
        return int(digits)
    except ValueError:
        raise ValueError(f"a number has {len(digits):,} digits") from None


def check(value: Any, shape: Any) -> None:
    """Check the shape of a value.

    Raises:
        ValueError: It has another one; the message says where.
    """
    for where, found, expected in _mismatches(value, shape, ""):
        if found is _MISSING:
            raise ValueError(f"{where} is missing")
        raise ValueError(f"{where or 'the content'} is {quoted(found)}, not {_words(expected)}")


def quoted(value: Any) -> str:
    """Return a value for a message: one line of at most 60 characters."""
    # The whole text of a huge value would take long.
    if isinstance(value, str):
        text = repr(value[: 2 * _LONGEST])
    elif isinstance(value, int) and value not in _INTEGERS:
        text = "a number of more than 64 bits"
    else:
        text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


_MISSING: Final = object()


def _mismatches(value: Any, shape: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield where a value does not have a shape, what is there, and the shape."""
    if isinstance(shape, tuple):
        if all(any(_mismatches(value, one, where)) for one in shape):
            yield where, value, shape
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            yield where, value, shape
            return
        named = {name: name.removesuffix("?") for name in shape if name is not str}
        for key, entry in value.items() if str in shape else ():
            if key not in named.values():
                yield from _mismatches(entry, shape[str], _join(where, key))
        for name, key in named.items():
            expected = shape[name]
            if key in value:
                yield from _mismatches(value[key], expected, _join(where, key))
            elif key == name:
                yield _join(where, key), _MISSING, expected
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield where, value, shape
            return
        for number, entry in enumerate(value):
            yield from _mismatches(entry, shape[0], f"{where}[{number}]")
    elif not _is_of(value, shape):
        yield where, value, shape


def _is_of(value: Any, shape: Any) -> bool:
    if shape is None or shape is object:
        return shape is object or value is None
    is_integer = isinstance(value, int) and not isinstance(value, bool) and value in _INTEGERS
    if shape is int:
        return is_integer
    if isinstance(shape, range):
        return is_integer and value in shape
    if shape is float:
        return is_integer or (isinstance(value, float) and math.isfinite(value))
    if isinstance(shape, frozenset):
        return isinstance(value, str) and value in shape
    return isinstance(value, shape)


def _words(shape: Any) -> str:
    if isinstance(shape, tuple):
        return " or ".join(map(_words, shape))
    if isinstance(shape, dict):
        return "an object"
    if isinstance(shape, list):
        return "a list"
    if isinstance(shape, range):
        return f"an integer from {shape.start:,} to {shape.stop - 1:,}"
    if isinstance(shape, frozenset):
        return f"one of {', '.join(sorted(shape))}"
    return _WORDS[shape]


def _join(where: str, key: str) -> str:
    key = key if len(key) <= _LONGEST else quoted(key)
    return f"{where}.{key}" if where else key


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        if not level:
            return
        containers = [entry for entry in level if isinstance(entry, dict | list)]
        level = [inner for entry in containers for inner in (entry.values() if isinstance(entry, dict) else entry)]
    if level:
        raise ValueError("it is nested too deeply")
