"""The signatures of images, stored by the digests of their files, so that each image is decoded once for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgcluster.fileio.atomic import atomic_path
from imgcluster.fileio.digests import DIGEST_BYTES
from imgcluster.fileio.parquet import read_parquet

__all__ = ["StoredSignature", "read_signatures", "write_signatures"]

StoredSignature = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
"""Gray values ``uint8 (side, side)`` and colors ``uint8 (side, side, 2)``."""


def read_signatures(path: Path, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> dict[bytes, StoredSignature]:
    """Return the stored signatures by digest; empty if the file is missing, damaged or has other shapes.

    Args:
        path: The file.
        shapes: Those of the gray values and of the colors.
    """
    if not path.is_file():
        return {}
    try:
        table = read_parquet(path)
        digests, *parts = (table.column(name).to_pylist() for name in ("digest", "gray", "color"))
        arrays = [
            [np.frombuffer(value, np.uint8).reshape(shape) for value in part]
            for part, shape in zip(parts, shapes, strict=True)
        ]
        return dict(zip(digests, zip(*arrays, strict=True), strict=True))
    # Arrow raises arbitrary exceptions for damaged files; the signatures are then computed again.
    except Exception:
        return {}


def write_signatures(path: Path, signatures: Mapping[bytes, StoredSignature]) -> None:
    """Replace the stored signatures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ordered = sorted(signatures.items())
    table = pa.table(
        {
            "digest": pa.array([digest for digest, _ in ordered], pa.binary(DIGEST_BYTES)),
            "gray": pa.array([gray.tobytes() for _, (gray, _) in ordered], pa.binary()),
            "color": pa.array([color.tobytes() for _, (_, color) in ordered], pa.binary()),
        }
    )
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=False, write_statistics=False)
