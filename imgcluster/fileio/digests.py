"""Digests of the content of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["DIGEST_BYTES", "update_from_file"]

DIGEST_BYTES: Final = 16
"""The length of the digest that identifies the content of an image file, BLAKE2b-128."""

_PART: Final = 1 << 20


def update_from_file(update: Callable[[bytes], object], path: Path) -> int:
    """Call the method `update` of a digest with the content of a file, part by part, and return its size."""
    size = 0
    with path.open("rb") as file:
        while part := file.read(_PART):
            update(part)
            size += len(part)
    return size
