"""The colors of clusters on the page and in figures, suitable for color-blind readers.

Six hues (the scheme "bright" of Tol 2021, https://sronpersonalpages.nl/~pault), then darker and lighter versions of
them. After these 18 colors the sequence repeats with another marker. Cluster numbers are always shown beside colors.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MARKERS", "NOISE_COLOR", "cluster_color", "marker"]

NOISE_COLOR: Final = "#aeb3ba"

_HUES: Final = ((68, 119, 170), (238, 102, 119), (34, 136, 51), (204, 187, 68), (102, 204, 238), (170, 51, 119))
# Black or white mixed into a hue, and its share.
_SHADES: Final = ((0, 0.0), (0, 0.36), (255, 0.3))

MARKERS: Final = ("circle", "square", "diamond")
"""The markers, in the order of use."""


def cluster_color(cluster: int) -> str:
    """Return the color of a cluster as ``#rrggbb``; gray for noise (−1)."""
    if cluster < 0:
        return NOISE_COLOR
    ground, amount = _SHADES[cluster // len(_HUES) % len(_SHADES)]
    mixed = (round(part + (ground - part) * amount) for part in _HUES[cluster % len(_HUES)])
    return "#" + "".join(f"{part:02x}" for part in mixed)


def marker(cluster: int) -> str:
    """Return the marker of a cluster, one of `MARKERS`; a circle for noise (−1)."""
    return MARKERS[max(cluster, 0) // (len(_HUES) * len(_SHADES)) % len(MARKERS)]
