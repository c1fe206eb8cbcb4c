"""The colours of clusters: one palette for page and figures, told apart also by colour-blind eyes.

Six hues (the scheme "bright" of Tol 2021, https://sronpersonalpages.nl/~pault), then the same ones darker, then
lighter; after these 18 the colours come again with another marker. More than a handful of colours nobody can name:
wherever they stand for clusters, numbers stand beside them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MARKERS", "NOISE_COLOUR", "colour", "marker"]

NOISE_COLOUR: Final = "#aeb3ba"

_HUES: Final = ((68, 119, 170), (238, 102, 119), (34, 136, 51), (204, 187, 68), (102, 204, 238), (170, 51, 119))
# What a hue is mixed with, and how much of that.
_SHADES: Final = ((0, 0.0), (0, 0.36), (255, 0.3))

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
