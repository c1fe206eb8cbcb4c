"""Cached results that are slow to compute: layers of the last clustering, projection of the map, similar images."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.types import Candidate, Clustering, ClusteringResult, FitNotes, Layer
from imgcluster.fileio.atomic import NOT_WRITABLE, atomic_path
from imgcluster.fileio.parquet import read_parquet

__all__ = [
    "CachedProjection",
    "read_arrays",
    "read_clustering",
    "read_neighbors",
    "read_projection",
    "write_arrays",
    "write_clustering",
    "write_neighbors",
    "write_projection",
]

_LOG = logging.getLogger(__name__)

_CLUSTERING_KEY: Final = b"imgcluster.clustering"

_PROJECTION_KEY: Final = b"imgcluster.layout"
_NEIGHBORS_KEY: Final = b"imgcluster.neighbors"
_PROJECTION_METHOD_KEY: Final = b"imgcluster.how"


@contextmanager
def _where_writable(path: Path) -> Iterator[None]:
    """Go on without a cache in a folder that can only be read."""
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        _LOG.debug("%s cannot be written: %s", path, error.strerror)


@dataclass(frozen=True, slots=True)
class CachedProjection:
    """Positions of images on the map.

    Attributes:
        digests: The digest of each of the n images, 16 bytes.
        points: ``float32 (n, 2)``.
        method: How they were computed, in words.
    """

    digests: tuple[bytes, ...]
    points: npt.NDArray[np.float32]
    method: str


def write_clustering(path: Path, key: dict[str, Any], result: ClusteringResult) -> None:
    """Replace the cached clustering; `key` (JSON) identifies its embeddings and options."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for number, layer in enumerate(result.clustering.layers):
        columns[f"cluster_{number}"] = pa.array(layer.labels.astype(np.int32))
        columns[f"confidence_{number}"] = pa.array(layer.confidence)
        columns[f"runner_up_{number}"] = pa.array(layer.runner_up.astype(np.int32))
    facts = {
        "key": key,
        "chosen": result.clustering.chosen,
        "parameters": result.clustering.parameters,
        "candidates": [asdict(candidate) for candidate in result.clustering.candidates],
        "notes": asdict(result.clustering.notes),
        "note": result.note,
        "stability": result.stability,
    }
    table = pa.table(columns).replace_schema_metadata({_CLUSTERING_KEY: json.dumps(facts).encode()})
    with _where_writable(path), atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_clustering(path: Path, key: dict[str, Any]) -> ClusteringResult | None:
    """Return the cached clustering for `key`; None if it is missing, damaged or was written for another key."""
    try:
        table = read_parquet(path)
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
        clustering = Clustering(layers, facts["chosen"], facts["parameters"], candidates, FitNotes(**facts["notes"]))
        return ClusteringResult(clustering, facts["note"], tuple(map(tuple, facts["stability"])))
    # Any unusable file means that the clustering is computed again.
    except Exception:
        return None


def read_projection(path: Path, key: str) -> CachedProjection | None:
    """Return the cached projection; None if there is none for `key`."""
    if not path.is_file():
        return None
    try:
        table = read_parquet(path)
        table.validate(full=True)
        metadata = table.schema.metadata or {}
        if metadata.get(_PROJECTION_KEY) != key.encode():
            return None
        points = np.stack([table.column(name).to_numpy() for name in ("x", "y")], axis=1).astype(np.float32)
        digests = tuple(table.column("digest").to_pylist())
        method = metadata[_PROJECTION_METHOD_KEY].decode()
    # Arrow raises arbitrary exceptions for damaged files; the projection is then computed again.
    except Exception:
        return None
    return CachedProjection(digests, points, method) if np.isfinite(points).all() else None


def write_projection(path: Path, key: str, projection: CachedProjection) -> None:
    """Replace the cached projection; `key` identifies how it is computed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {_PROJECTION_KEY: key.encode(), _PROJECTION_METHOD_KEY: projection.method.encode()}
    schema = pa.schema([("digest", pa.binary(16)), ("x", pa.float32()), ("y", pa.float32())], metadata=metadata)
    columns = [pa.array(projection.digests, pa.binary(16)), *(pa.array(column) for column in projection.points.T)]
    with _where_writable(path), atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary)


def read_neighbors(path: Path, key: str, count: int) -> npt.NDArray[np.int32] | None:
    """Return the cached neighbors of `count` images, ``int32 (count, k)``; None if there are none for `key`."""
    if not path.is_file():
        return None
    try:
        table = read_parquet(path)
        table.validate(full=True)
        if (table.schema.metadata or {}).get(_NEIGHBORS_KEY) != key.encode():
            return None
        neighbors = np.stack([column.to_numpy() for column in table.columns], axis=1).astype(np.int32)
    # Arrow raises arbitrary exceptions for damaged files; the neighbors are then computed again.
    except Exception:
        return None
    valid = len(neighbors) == count and neighbors.min(initial=0) >= 0 and neighbors.max(initial=0) < count
    return neighbors if valid else None


def write_neighbors(path: Path, key: str, neighbors: npt.NDArray[np.int32]) -> None:
    """Replace the cached neighbors; `key` identifies the vectors and how they are compared."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {f"neighbor_{number}": pa.array(column) for number, column in enumerate(neighbors.T)}
    with _where_writable(path), atomic_path(path) as temporary:
        pq.write_table(pa.table(columns).replace_schema_metadata({_NEIGHBORS_KEY: key.encode()}), temporary)


def read_arrays(path: Path, key: str) -> dict[str, npt.NDArray[Any]] | None:
    """Return cached arrays by name; None if there are none for `key`."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files} if str(stored["key"]) == key else None
    # NumPy raises arbitrary exceptions for damaged files; the arrays are then computed again.
    except Exception:
        return None


def write_arrays(path: Path, key: str, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Replace the cached arrays; `key` identifies what they were computed from, and how."""
    with _where_writable(path), atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, key=np.array(key), **arrays)  # type: ignore[arg-type]
