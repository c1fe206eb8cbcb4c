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

__all__ = ["confusion_figure", "save"]

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
    names = [_shortened(label) for label in labels]
    width = min(2.5 + _INCH_PER_CHARACTER * max(map(len, names), default=0) + _INCH_PER_CELL * columns, _LARGEST_INCHES)
    height = min(2.0 + _INCH_PER_CELL * rows, _LARGEST_INCHES)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(columns), clusters, rotation=90)
    # Without this a "$" in a folder's name would start a formula.
    axes.set_yticks(range(rows), [name.replace("$", r"\$") for name in names])
    axes.set_xlabel("cluster")
    axes.set_ylabel("label")
    if counts.size <= _NUMBERS_UP_TO:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, label="share of the label's images")
    return figure


def save(figure: Figure, path: Path, *, dpi: int = 120) -> None:
    """Write a figure as PNG or, where `path` ends so, SVG; the same figure gives the same bytes."""
    from matplotlib import rc_context

    kind = "svg" if path.suffix == ".svg" else "png"
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with atomic_path(path) as draft, warnings.catch_warnings(), rc_context({"svg.hashsalt": "imgcluster"}):
        # Characters that matplotlib's font lacks are drawn as boxes; the table beside the picture has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(draft, format=kind, dpi=dpi, metadata=metadata)


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"
