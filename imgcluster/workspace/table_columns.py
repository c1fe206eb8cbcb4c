"""The columns of the workspace's CSV files."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ASSIGNMENTS",
    "CANDIDATES",
    "CLUSTERS",
    "SKIPPED",
]

SKIPPED: Final = ("path", "reason")
# Followed by one column for each layer: `layer_0` is the finest.
ASSIGNMENTS: Final = ("path", "cluster", "confidence", "distance", "is_medoid", "runner_up")
CLUSTERS: Final = (
    *("cluster", "size", "share", "medoid", "mean_distance", "silhouette", "stability"),
    *("mean_confidence", "name"),
)
CANDIDATES: Final = ("k", "silhouette", "stability", "persistence", "chosen")
