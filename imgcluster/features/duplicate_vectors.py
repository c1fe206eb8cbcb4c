"""Vectors that are equal bit by bit, and an order of vectors that depends on their content only."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.blocks import blocks
from imgcluster.types import VectorRows, Vectors

__all__ = ["content_order", "count_distinct", "find_duplicates"]

_Indices = npt.NDArray[np.int64]

_DIGEST_BYTES: Final = 16


def content_order(vectors: Vectors | VectorRows) -> _Indices:
    """Return the row numbers sorted by the digests of ``float32 (n, d)`` vectors, ``int64 (n,)``.

    Computations in this order do not depend on file names, and samples at equal distances are random ones. Equal
    vectors keep their order.
    """
    keys = _digests(vectors).view(">u8")
    return np.asarray(np.lexsort((keys[:, 1], keys[:, 0])), dtype=np.int64)


def count_distinct(vectors: Vectors | VectorRows, limit: int) -> int:
    """Return the number of distinct ``float32 (n, d)`` vectors, at most `limit`; rows after that are not read."""
    seen: set[bytes] = set()
    for digest in (digest for _, block in blocks(vectors) for digest in map(_digest, block)):
        if len(seen) >= limit:
            break
        seen.add(digest)
    return len(seen)


def find_duplicates(vectors: npt.NDArray[Any] | VectorRows) -> tuple[_Indices, _Indices]:
    """Return the first row of each distinct vector, ascending, and for every row the number of its distinct vector."""
    keys = _digests(vectors).view("<u8")
    # Stable, so the first row of each group is its smallest.
    order = np.lexsort((keys[:, 0], keys[:, 1]))
    starts = np.append(True, (keys[order[1:]] != keys[order[:-1]]).any(axis=1))[: len(order)]
    first_of_groups = order[starts]
    copies = np.empty(len(order), np.int64)
    copies[order] = first_of_groups[np.cumsum(starts) - 1]
    first = np.sort(first_of_groups)
    return first, np.searchsorted(first, copies)


def _digests(vectors: npt.NDArray[Any] | VectorRows) -> npt.NDArray[np.uint8]:
    """Return a digest of each vector, ``uint8 (n, 16)``: faster to sort than rows, and small enough for memory."""
    digests = np.empty((len(vectors), _DIGEST_BYTES), dtype=np.uint8)
    for rows, block in blocks(vectors):
        digests[rows] = np.frombuffer(b"".join(map(_digest, block)), np.uint8).reshape(-1, _DIGEST_BYTES)
    return digests


def _digest(vector: npt.NDArray[Any]) -> bytes:
    return blake2b((vector + 0.0).tobytes(), digest_size=_DIGEST_BYTES).digest()  # −0 equals 0
