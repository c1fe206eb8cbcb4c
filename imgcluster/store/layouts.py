"""The map's layout in a workspace, kept because it takes long to compute and depends on the embeddings only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.store.atomic import atomic_path

__all__ = ["read_layout", "write_layout"]

_KEY: Final = b"imgcluster.layout"
_HOW: Final = b"imgcluster.how"


def read_layout(path: Path, key: str) -> tuple[npt.NDArray[np.float32], str] | None:
    """Return the points ``float32 (n, 2)`` and how they were found; None where there are none for this `key`."""
    import pyarrow.parquet as pq

    if not path.is_file():
        return None
    try:
        table = pq.read_table(path, partitioning=None, use_threads=False)
        table.validate(full=True)
        said = table.schema.metadata or {}
        if said.get(_KEY) != key.encode():
            return None
        points = np.stack([table.column(name).to_numpy() for name in ("x", "y")], axis=1).astype(np.float32)
        how = said[_HOW].decode()
    # A damaged file makes Arrow raise whatever its bytes lead to. It costs the time of computing it again, no more.
    except Exception:
        return None
    return (points, how) if np.isfinite(points).all() else None


def write_layout(path: Path, key: str, points: npt.NDArray[np.float32], how: str) -> None:
    """Replace the layout at `path`; `key` stands for all that it was made from."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("x", pa.float32()), ("y", pa.float32())], metadata={_KEY: key.encode(), _HOW: how.encode()})
    table = pa.Table.from_arrays([pa.array(points[:, 0]), pa.array(points[:, 1])], schema=schema)
    with atomic_path(path) as draft:
        pq.write_table(table, draft)
