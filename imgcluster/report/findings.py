"""What the page shows besides the clusters: similar images, duplicates, bursts and outliers, as plain values."""

from __future__ import annotations

import base64
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Copy", "Findings", "Unusual", "document"]


@dataclass(frozen=True, slots=True)
class Copy:
    """One image of a group of copies: its row, ``best`` or what kind of copy it is, score, size in pixels and bytes."""

    image: int
    kind: str
    score: float
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Unusual:
    """An image with a reason to look at it: its row, the reasons, and its sharpness (None if it is not known)."""

    image: int
    reasons: tuple[str, ...]
    sharpness: float | None


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of n images besides the clusters.

    Attributes:
        neighbors: The most similar images of each image, ``int32 (n, k)``; None if they are not known.
        duplicates: Groups of copies; the first of each is the best.
        bursts: The same for photographs that were taken one after the other.
        set_aside: Images that are in the folder of duplicates.
        outliers: The most unusual images first.
        more_outliers: The number of unusual images that are not in `outliers`.
        remaining: The images that are left of groups of copies that are not shown as they were found, because some are
            set aside, say; one image of each group has to stay.
    """

    neighbors: npt.NDArray[np.int32] | None = None
    duplicates: tuple[tuple[Copy, ...], ...] = ()
    bursts: tuple[tuple[Copy, ...], ...] = ()
    set_aside: tuple[int, ...] = ()
    outliers: tuple[Unusual, ...] = ()
    more_outliers: int = 0
    remaining: tuple[tuple[int, ...], ...] = ()


def document(findings: Findings) -> dict[str, Any]:
    """Return the findings as JSON types; arrays are base64 of little-endian numbers."""
    neighbors = findings.neighbors
    return {
        "neighbors": None
        if neighbors is None
        else {
            "count": neighbors.shape[1],
            "images": base64.b64encode(np.ascontiguousarray(neighbors, "<i4").tobytes()).decode("ascii"),
        },
        "duplicates": [[astuple(copy) for copy in group] for group in findings.duplicates],
        "bursts": [[astuple(copy) for copy in group] for group in findings.bursts],
        "setAside": findings.set_aside,
        "outliers": [astuple(unusual) for unusual in findings.outliers],
        "moreOutliers": findings.more_outliers,
        "remaining": findings.remaining,
    }
