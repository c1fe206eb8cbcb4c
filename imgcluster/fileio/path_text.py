"""Reversible conversion of paths to valid Unicode, and operations on such texts.

File names on Linux are bytes. Python represents bytes that are not UTF-8 as lone surrogates, which Parquet, CSV and
HTML cannot store. `to_text` writes such a byte as ``\\xNN`` (a lone surrogate on Windows as ``\\uNNNN``) and escapes
a literal backslash before such a sequence as ``\\x5c``, so that every text has exactly one path. All other names
are unchanged.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

__all__ = [
    "Paths",
    "absolute_path",
    "common_base",
    "from_text",
    "join",
    "path_list",
    "printable",
    "relative_path",
    "relative_to",
    "to_text",
]

Paths: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""One path or several."""

_NEEDS_ESCAPE = re.compile(r"[\ud800-\udfff]|\\(?=x[0-9a-f]{2}|u[0-9a-f]{4})")
_URL = re.compile(r"[a-z][a-z0-9]+://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})")


def path_list(paths: Paths) -> list[str | os.PathLike[str]]:
    """Return one path, or several, as a list: a text is not its letters, and an iterator can be read only once."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def to_text(path: str | os.PathLike[str]) -> str:
    """Return `path` as valid Unicode with ``/`` as the separator; `from_text` is its inverse."""
    text = os.fspath(path)
    if os.sep != "/":
        text = text.replace(os.sep, "/")
    return _NEEDS_ESCAPE.sub(_escape, text)


def from_text(text: str) -> Path:
    """Return the path that `to_text` converted to `text`."""
    return Path(_ESCAPED.sub(_unescape, text))


def printable(text: str) -> str:
    """Return `text` with control characters as ``\\xNN``, so that a file name cannot control the terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


def join(root: str, path: str) -> str:
    """Join an absolute `root` and a `path` relative to it."""
    return f"{root}{path}" if root.endswith("/") else f"{root}/{path}"


def common_base(roots: list[str]) -> str:
    """Return the deepest folder that contains all `roots` (absolute); "" if they are on several drives or servers.

    Paths relative to "" are absolute.
    """
    if not roots:
        return ""
    parts = [root.rstrip("/").split("/") for root in roots]
    shared = []
    for step in zip(*parts, strict=False):
        if len(set(step)) > 1:
            break
        shared.append(step[0])
    if shared == [""]:
        return "/"
    base = "/".join(shared).rstrip("/")
    # "s3:" of two buckets, and "" of two servers of Windows, are not folders.
    return "" if _URL.fullmatch(f"{base}//") else base


def relative_to(path: str, base: str) -> str:
    """Return the absolute `path` relative to `base`, which must contain it; unchanged if `base` is ""."""
    if not base:
        return path
    if path == base:
        return "."
    prefix = join(base, "")
    if not path.startswith(prefix):
        raise ValueError(f"{path!r} is not inside {base!r}")
    return path[len(prefix) :]


def relative_path(location: str, base: str) -> str:
    """Return the absolute path `location` relative to `base`, with ``..`` if it is outside.

    It stays absolute if `base` is "" or on another drive or server, and if the rest of it looks like an absolute path,
    as in the folder ``C:`` on Linux. `absolute_path` is the inverse.
    """
    path = _relative(location, base)
    return path if absolute_path(base, path) == location else location


def absolute_path(base: str, path: str) -> str:
    """Return the absolute path of a `path` relative to `base`; an absolute `path` is returned unchanged.

    Paths of Windows are absolute on every system, so that a workspace means the same everywhere.
    """
    if not base or path.startswith("/") or path[1:3] == ":/" or _URL.match(path):
        return path
    base = base.rstrip("/")
    while path.startswith("../"):
        path, base = path[3:], base.rpartition("/")[0]
    return f"{base}/{path}"


def _relative(location: str, base: str) -> str:
    if base and location.startswith(join(base, "")):
        return location[len(join(base, "")) :]
    parts, base_parts = location.split("/"), base.rstrip("/").split("/")
    if not base or parts[0] != base_parts[0]:
        return location
    shared = 0
    while shared < min(len(parts) - 1, len(base_parts)) and parts[shared] == base_parts[shared]:
        shared += 1
    return "/".join([".."] * (len(base_parts) - shared) + parts[shared:])


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if character == "\\":
        return "\\x5c"
    code = ord(character)
    # PEP 383 (`surrogateescape`) maps the bytes 0x80 to 0xFF to U+DC80 to U+DCFF.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _unescape(match: re.Match[str]) -> str:
    byte, surrogate = match.groups()
    if surrogate is not None:
        return chr(int(surrogate, 16))
    value = int(byte, 16)
    return chr(value) if value < 0x80 else chr(0xDC00 + value)
