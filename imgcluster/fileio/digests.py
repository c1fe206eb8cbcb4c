"""Digests of the content of files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from imgcluster.fileio.regular import open_regular

__all__ = ["DIGEST_BYTES", "file_digest", "update_from_file"]

DIGEST_BYTES: Final = 16
"""The length of the digest that identifies the content of an image file, BLAKE2b-128."""

_PART: Final = 1 << 20


def file_digest(path: Path) -> bytes:
    """Return the BLAKE2b-128 of a file.

    Raises:
        OSError: As in `open_regular`.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    update_from_file(digest.update, path)
    return digest.digest()


def update_from_file(update: Callable[[bytes], object], path: Path) -> int:
    """Call the method `update` of a digest with the content of a file, part by part, and return its size.

    Raises:
        OSError: As in `open_regular`.
    """
    size = 0
    with open_regular(path) as file:
        # A file of the system that is empty, such as /proc/kmsg, can be read forever.
        length = os.fstat(file.fileno()).st_size
        while part := file.read(min(_PART, length - size)):
            update(part)
            size += len(part)
    return size
