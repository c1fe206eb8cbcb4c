"""Results that take long to compute, cached in the workspace: the layers of the last clustering, the map's layout."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.fileio.atomic import atomic_path
from imgcluster.types import Candidate, Clustering, ClusteringResult, Layer

__all__ = [
    "read_kept",
    "read_layout",
    "write_kept",
    "write_layout",
]

_CLUSTERING_KEY: Final = b"imgcluster.clustering"

_LAYOUT_KEY: Final = b"imgcluster.layout"
_LAYOUT_HOW: Final = b"imgcluster.how"


def write_kept(path: Path, key: dict[str, Any], kept: ClusteringResult) -> None:
    """Replace the file at `path`; `key` says what the clustering was made of and how."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for number, layer in enumerate(kept.clustering.layers):
        columns[f"cluster_{number}"] = pa.array(layer.labels.astype(np.int32))
        columns[f"confidence_{number}"] = pa.array(layer.confidence)
        columns[f"runner_up_{number}"] = pa.array(layer.runner_up.astype(np.int32))
    facts = {
        "key": key,
        "chosen": kept.clustering.chosen,
        "parameters": kept.clustering.parameters,
        "candidates": [asdict(candidate) for candidate in kept.clustering.candidates],
        "note": kept.note,
        "stability": kept.stability,
    }
    table = pa.table(columns).replace_schema_metadata({_CLUSTERING_KEY: json.dumps(facts).encode()})
    with atomic_path(path) as draft:
        pq.write_table(table, draft, compression="zstd")


def read_kept(path: Path, key: dict[str, Any]) -> ClusteringResult | None:
    """Return what `write_kept` wrote under an equal `key`; None where there is nothing that can be used."""
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, partitioning=None, use_threads=False)
        facts = json.loads(table.schema.metadata[_CLUSTERING_KEY])
        if facts["key"] != json.loads(json.dumps(key)):
            return None
        layers = tuple(
            Layer(
                table.column(f"cluster_{number}").to_numpy().astype(np.int64),
                table.column(f"confidence_{number}").to_numpy().astype(np.float32),
                table.column(f"runner_up_{number}").to_numpy().astype(np.int64),
            )
            for number in range(table.num_columns // 3)
        )
        candidates = tuple(Candidate(**candidate) for candidate in facts["candidates"])
        clustering = Clustering(layers, facts["chosen"], facts["parameters"], candidates)
        return ClusteringResult(clustering, facts["note"], tuple(map(tuple, facts["stability"])))
    # Missing, damaged or of another version: then it is computed again.
    except Exception:
        return None


def read_layout(path: Path, key: str) -> tuple[npt.NDArray[np.float32], str] | None:
    """Return the points ``float32 (n, 2)`` and how they were found; None where there are none for this `key`."""
    import pyarrow.parquet as pq

    if not path.is_file():
        return None
    try:
        table = pq.read_table(path, partitioning=None, use_threads=False)
        table.validate(full=True)
        said = table.schema.metadata or {}
        if said.get(_LAYOUT_KEY) != key.encode():
            return None
        points = np.stack([table.column(name).to_numpy() for name in ("x", "y")], axis=1).astype(np.float32)
        how = said[_LAYOUT_HOW].decode()
    # A damaged file makes Arrow raise whatever its bytes lead to. It costs the time of computing it again, no more.
    except Exception:
        return None
    return (points, how) if np.isfinite(points).all() else None


def write_layout(path: Path, key: str, points: npt.NDArray[np.float32], how: str) -> None:
    """Replace the layout at `path`; `key` stands for all that it was made from."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [("x", pa.float32()), ("y", pa.float32())], metadata={_LAYOUT_KEY: key.encode(), _LAYOUT_HOW: how.encode()}
    )
    table = pa.Table.from_arrays([pa.array(points[:, 0]), pa.array(points[:, 1])], schema=schema)
    with atomic_path(path) as draft:
        pq.write_table(table, draft)
