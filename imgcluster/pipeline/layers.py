"""The layers of the last clustering, kept so that another one can be picked without computing anything again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from imgcluster.clustering import Candidate, Clustering, Layer
from imgcluster.store.atomic import atomic_path

__all__ = ["Kept", "read_kept", "write_kept"]

_KEY: Final = b"imgcluster.clustering"


@dataclass(frozen=True, slots=True)
class Kept:
    """A clustering with all its layers, how its vectors were reduced, in words, and the stability of the clusters of
    each layer."""

    clustering: Clustering
    how: str
    stability: tuple[tuple[float | None, ...], ...]


def write_kept(path: Path, key: dict[str, Any], kept: Kept) -> None:
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
        "how": kept.how,
        "stability": kept.stability,
    }
    table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(facts).encode()})
    with atomic_path(path) as draft:
        pq.write_table(table, draft, compression="zstd")


def read_kept(path: Path, key: dict[str, Any]) -> Kept | None:
    """Return what `write_kept` wrote under an equal `key`; None where there is nothing that can be used."""
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, partitioning=None, use_threads=False)
        facts = json.loads(table.schema.metadata[_KEY])
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
        return Kept(clustering, facts["how"], tuple(map(tuple, facts["stability"])))
    # Missing, damaged or of another version: then it is computed again.
    except Exception:
        return None
