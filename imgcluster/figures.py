"""Pictures of results, drawn with matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from imgcluster.store.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from imgcluster.clustering import Candidate

__all__ = ["candidates_figure", "confusion_figure", "save"]

# More numbers than this are unreadable; the colours still show the pattern.
_NUMBERS_UP_TO: Final = 400
_INCH_PER_CELL: Final = 0.42
_INCH_PER_CHARACTER: Final = 0.08
_LONGEST_LABEL: Final = 40
_LARGEST_INCHES: Final = 24.0


def confusion_figure(counts: npt.NDArray[np.int64], labels: Sequence[str], clusters: Sequence[str]) -> Figure:
    """Draw a confusion matrix: counts ``int64 (labels, clusters)``, coloured by the share of the label's images."""
    from matplotlib.figure import Figure

    rows, columns = counts.shape
    names, called = [_shortened(label) for label in labels], [_shortened(cluster) for cluster in clusters]
    width = min(2.5 + _INCH_PER_CHARACTER * max(map(len, names), default=0) + _INCH_PER_CELL * columns, _LARGEST_INCHES)
    height = min(2.0 + _INCH_PER_CHARACTER * max(map(len, called), default=0) + _INCH_PER_CELL * rows, _LARGEST_INCHES)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    # Without this a "$" in a name would start a formula.
    axes.set_xticks(range(columns), [name.replace("$", r"\$") for name in called], rotation=90)
    axes.set_yticks(range(rows), [name.replace("$", r"\$") for name in names])
    axes.set_xlabel("cluster")
    axes.set_ylabel("label")
    if counts.size <= _NUMBERS_UP_TO:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, label="share of the label's images")
    return figure


def candidates_figure(candidates: Sequence[Candidate]) -> Figure:
    """Draw silhouette, stability and persistence over the numbers of clusters, the chosen one marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    numbers = [candidate.k for candidate in candidates]
    axes.plot(numbers, [candidate.stability for candidate in candidates], "o-", color="#0072B2", label="stability")
    axes.plot(numbers, [candidate.silhouette for candidate in candidates], "s-", color="#D55E00", label="silhouette")
    axes.set_xlabel("clusters")
    axes.set_ylabel("stability, silhouette")
    beside = axes.twinx()
    beside.bar(numbers, [candidate.persistence - 1 for candidate in candidates], bottom=1, color="#CCCCCC", zorder=0)
    beside.set_ylabel("persistence (bars)")
    # The lines lie above the bars.
    axes.set_zorder(beside.get_zorder() + 1)
    axes.patch.set_visible(False)
    for candidate in candidates:
        if candidate.chosen:
            axes.axvline(candidate.k, color="black", linestyle=":", label=f"chosen: {candidate.k}")
    axes.legend(loc="best")
    return figure


def save(figure: Figure, path: Path, *, dpi: int = 120) -> None:
    """Write a figure as PNG or, where `path` ends so, SVG; the same figure gives the same bytes."""
    from matplotlib import rc_context

    kind = "svg" if path.suffix == ".svg" else "png"
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with atomic_path(path) as draft, warnings.catch_warnings(), rc_context({"svg.hashsalt": "imgcluster"}):
        # Characters that matplotlib's font lacks are drawn as boxes; the table beside the picture has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        # On white, whatever a user's own settings of matplotlib say.
        figure.savefig(draft, format=kind, dpi=dpi, metadata=metadata, transparent=False, facecolor="white")
        if kind == "png":
            _slim(draft)


def _slim(path: Path) -> None:
    """Write a PNG without what it does not use: transparency, and colours where all is grey."""
    from PIL import Image

    with Image.open(path) as picture:
        resolution, colours = picture.info.get("dpi"), picture.convert("RGB")
    red, green, blue = colours.split()
    slim = red if red.tobytes() == green.tobytes() == blue.tobytes() else colours
    slim.save(path, "PNG", **({"dpi": resolution} if resolution else {}))


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"
