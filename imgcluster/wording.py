"""Wording that messages, page and tables share."""

from __future__ import annotations

import os
import re
import shlex

__all__ = ["counted", "quoted_argument"]


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the plural (by default with an s) if it is not 1."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def quoted_argument(text: str, *, windows: bool = os.name == "nt") -> str:
    """Return an argument as it is typed on a command line: of Windows (cmd and PowerShell), or of a POSIX shell."""
    if not windows:
        return shlex.quote(text)
    return text if re.fullmatch(r"[\w:\\/.+-]+", text) else f'"{text}"'
