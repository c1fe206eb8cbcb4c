"""The reduced vectors of a workspace, with their neighbor graph: stored, so that other options can be tried quickly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.features.neighbors import CountGraph
from imgcluster.features.reduce import Reduced
from imgcluster.workspace.caches import read_arrays, write_arrays

__all__ = ["cached_reduction"]

# Changes with the computation.
_VERSION: Final = 2


def cached_reduction(path: Path, key: str, compute: Callable[[], Reduced], *, dry_run: bool) -> Reduced:
    """Return the reduction that is stored at `path` for `key`; otherwise compute it and, unless `dry_run`, store it.

    Only reductions with a neighbor graph are stored, as the others take less time.
    """
    key = f"{_VERSION} {key}"
    arrays = read_arrays(path, key)
    stored = None if arrays is None else _reduced(arrays)
    if stored is not None:
        return stored
    reduced = compute()
    if reduced.graph is not None and not dry_run:
        write_arrays(path, key, _arrays(reduced, reduced.graph))
    return reduced


def _arrays(reduced: Reduced, graph: CountGraph) -> dict[str, npt.NDArray[Any]]:
    return {
        "vectors": reduced.vectors,
        "note": np.array(reduced.note),
        "sample": np.array(reduced.sample),
        "rows": graph.rows,
        "components": np.array(graph.components),
        "data": graph.weights.data,
        "indices": graph.weights.indices,
        "indptr": graph.weights.indptr,
    }


def _reduced(arrays: dict[str, npt.NDArray[Any]]) -> Reduced | None:
    """Return a stored reduction; None if it is damaged."""
    from scipy.sparse import csr_matrix

    try:
        rows, vectors = arrays["rows"], arrays["vectors"]
        weights = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(len(rows), len(rows)))
        weights.check_format(full_check=True)
        if rows.min(initial=0) < 0 or rows.max(initial=0) >= len(vectors) or not np.isfinite(vectors).all():
            return None
        graph = CountGraph(weights, rows.astype(np.int64), int(arrays["components"]))
        return Reduced(vectors.astype(np.float32), str(arrays["note"]), graph, int(arrays["sample"]))
    except (KeyError, ValueError):
        return None
