"""Vectors in memory and vectors that are read from files, in blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.types import MapParts, VectorRows, Vectors

__all__ = ["blocks", "in_memory", "of_all", "reordered", "transformed"]

# Larger ones do not fit into a processor's cache, and the system has to provide new memory for each.
_BYTES: Final = 8 << 20
_ROWS: Final = 8192
# For more than a thousand clusters blocks have fewer rows, so that the distances to all of them do not fill the memory.
_RESULTS: Final = 1 << 23


def blocks(vectors: npt.NDArray[Any] | VectorRows, results: int = 1) -> Iterator[tuple[Any, npt.NDArray[Any]]]:
    """Yield blocks of at most 8 MB and 8,192 vectors, each with the index of its rows: a slice or ``int64``.

    Args:
        vectors: ``(n, d)``.
        results: How many values are computed of each row; of a block they are at most 8.4 million.
    """
    if isinstance(vectors, np.ndarray):
        count = max(1, min(_ROWS, _BYTES // max(1, vectors[:1].nbytes), _RESULTS // max(1, results)))
        for start in range(0, len(vectors), count):
            part = slice(start, start + count)
            yield part, vectors[part]
        return
    for rows, block in vectors.blocks():
        for part, vectors_of_part in blocks(block, results):
            yield rows[part], vectors_of_part


def in_memory(vectors: Vectors | VectorRows) -> Vectors:
    """Return all vectors as an array."""
    return vectors if isinstance(vectors, np.ndarray) else vectors[np.arange(len(vectors))]


def reordered(vectors: Vectors | VectorRows, order: npt.NDArray[np.int64]) -> Vectors | VectorRows:
    """Return the vectors of different rows, in this order; an array is copied."""
    return vectors[order] if isinstance(vectors, np.ndarray) else vectors.reordered(order)


def transformed(vectors: Vectors | VectorRows, function: Callable[[Vectors], Vectors]) -> Vectors | VectorRows:
    """Return the vectors with a function applied that treats each row on its own."""
    return function(vectors) if isinstance(vectors, np.ndarray) else vectors.transformed(function)


def of_all(
    vectors: Vectors | VectorRows, function: Callable[[Vectors], Vectors], values: int, map_parts: MapParts = map
) -> Vectors:
    """Return a function of all vectors that treats each row on its own, computed in blocks.

    Args:
        vectors: ``float32 (n, d)``.
        function: Returns ``float32 (m, values)`` for a block ``float32 (m, d)``.
        values: The number of values of each row of the result.
        map_parts: Computes the function of parts of the vectors.
    """
    result = np.empty((len(vectors), values), dtype=np.float32)
    parts = [vectors] if isinstance(vectors, np.ndarray) else vectors.parts()
    for computed in map_parts(partial(_of_part, function), parts):
        for rows, block in computed:
            result[rows] = block
    return result


def _of_part(function: Callable[[Vectors], Vectors], part: Vectors | VectorRows) -> list[tuple[Any, Vectors]]:
    return [(rows, function(block)) for rows, block in blocks(part)]
