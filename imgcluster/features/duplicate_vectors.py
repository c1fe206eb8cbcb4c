"""Vectors that are the same, bit by bit: how many different ones there are, and which are copies of which."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from imgcluster.types import Vectors

__all__ = ["count_distinct", "find_copies"]


def count_distinct(vectors: Vectors, enough: int) -> int:
    """Count the different ones of ``float32 (n, d)`` vectors, but stop where there are `enough`."""
    seen: set[bytes] = set()
    for key in _keys(vectors):
        if len(seen) >= enough:
            break
        seen.add(key)
    return len(seen)


def find_copies(vectors: Vectors) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the index of the first of each of the different vectors, and for every vector which of them it is."""
    numbers: dict[bytes, int] = {}
    copies = np.array([numbers.setdefault(key, len(numbers)) for key in _keys(vectors)], np.int64)
    return np.unique(copies, return_index=True)[1], copies


def _keys(vectors: Vectors) -> Iterator[bytes]:
    """Yield what equal vectors, and no others, have in common; it is compared sooner than NumPy sorts rows.

    Digests, so that to remember all of them takes little memory.
    """
    return (blake2b((vector + 0.0).tobytes(), digest_size=16).digest() for vector in vectors)  # −0 is 0
