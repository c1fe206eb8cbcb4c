"""The map's layout in a workspace, kept because it takes long to compute and depends on the embeddings only."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgcluster.store.atomic import atomic_path

__all__ = ["read_layout", "write_layout"]


def read_layout(path: Path, key: str) -> tuple[npt.NDArray[np.float32], str] | None:
    """Return the points ``float32 (n, 2)`` and how they were found; None where there are none for this `key`."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            said = json.loads(str(stored["said"]))
            points = np.asarray(stored["points"], dtype=np.float32)
        if said["key"] != key or points.ndim != 2 or points.shape[1] != 2:
            return None
        return points, str(said["how"])
    # A damaged file costs the time of computing it again, and nothing else.
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def write_layout(path: Path, key: str, points: npt.NDArray[np.float32], how: str) -> None:
    """Replace the layout at `path`; `key` stands for all that it was made from."""
    with atomic_path(path) as draft, draft.open("wb") as file:
        np.savez(file, points=points, said=np.array(json.dumps({"key": key, "how": how})))
