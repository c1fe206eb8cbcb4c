"""Wording that messages, page and tables share."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the plural (by default with an s) if it is not 1."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
