"""The colours of clusters: one palette for page and figures, told apart also by colour-blind eyes.

Seven hues (Okabe & Ito 2008, https://jfly.uni-koeln.de/color, the yellow darkened so that it shows on white), then
the same ones darker, then lighter; after these 21 the colours come again with another marker. More than a handful of
colours nobody can name: wherever they stand for clusters, numbers stand beside them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MARKERS", "NOISE_COLOUR", "colour", "marker"]

NOISE_COLOUR: Final = "#8d939c"

_HUES: Final = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (86, 180, 233),
    (178, 160, 0),
)
# What a hue is mixed with, and how much of that.
_SHADES: Final = ((0, 0.0), (0, 0.42), (255, 0.5))

MARKERS: Final = ("circle", "square", "diamond")
"""The markers, in the order in which they are taken."""


def colour(cluster: int) -> str:
    """Return the colour of a cluster as ``#rrggbb``; grey for noise (−1)."""
    if cluster < 0:
        return NOISE_COLOUR
    ground, amount = _SHADES[cluster // len(_HUES) % len(_SHADES)]
    mixed = (round(part + (ground - part) * amount) for part in _HUES[cluster % len(_HUES)])
    return "#" + "".join(f"{part:02x}" for part in mixed)


def marker(cluster: int) -> str:
    """Return the marker of a cluster, one of `MARKERS`; a circle for noise (−1)."""
    return MARKERS[max(cluster, 0) // (len(_HUES) * len(_SHADES)) % len(MARKERS)]
