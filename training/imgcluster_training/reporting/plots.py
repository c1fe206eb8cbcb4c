"""Plots of a training: loss curves, reconstructions, codes, generated images, filters.

Images are ``float32 (n, height, width, channels)`` in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.images.arrays import tile, to_pixels, write_png
from imgcluster.report.plots import save, without_local_style
from imgcluster.types import Pixels
from imgcluster_training.data.archives import Labels
from imgcluster_training.progress import EpochRecord
from imgcluster_training.reporting.reconstruction_measures import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves", "draw_filters", "draw_grid", "draw_latent_plane", "draw_rows", "draw_side_by_side"]

_DPI: Final = 110
_CELL_INCHES: Final = 1.2
_POINT_SIZE: Final = 3.0
# Small images are enlarged to about this width.
_PIXELS_WIDE: Final = 800
# With few epochs, single points are visible only with markers.
_MARKED_EPOCHS: Final = 20
_DECADE: Final = 10.0


@without_local_style()
def draw_curves(histories: Mapping[str, Sequence[EpochRecord]], path: Path) -> None:
    """Draw the loss by epoch of every history (training dashed, validation solid) on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    figure = _figure(7.0, 4.2)
    axes = figure.subplots()
    for number, (name, history) in enumerate(histories.items()):
        epochs = [record.epoch for record in history]
        style: dict[str, Any] = {"color": f"C{number % 10}", "marker": "o" if len(epochs) <= _MARKED_EPOCHS else None}
        losses = [record.loss for record in history]
        axes.plot(epochs, losses, "--", markerfacecolor="none", label=f"{name} training".strip(), **style)
        if any(math.isfinite(record.validation_loss) for record in history):
            losses = [record.validation_loss for record in history]
            axes.plot(epochs, losses, "-", label=f"{name} validation".strip(), **style)
    axes.set(xlabel="epoch", ylabel="loss", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    low, high = axes.get_ylim()
    # Within a decade, powers of ten alone would be one label; over several, labels between them would overlap.
    within = high < _DECADE * low
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:.3g}") if within else NullFormatter())
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize="small")
    save(figure, path, dpi=_DPI)


@without_local_style()
def draw_side_by_side(columns: Mapping[str, Floats], path: Path, *, upright: bool = False) -> None:
    """Draw one row per image and one column per kind of picture; `upright` exchanges rows and columns."""
    names, stacks = list(columns), list(columns.values())
    count = len(stacks[0])
    rows, wide = (len(names), count) if upright else (count, len(names))
    cell = max(_CELL_INCHES, stacks[0].shape[1] / 2 / _DPI)
    figure = _figure(cell * wide + 0.3, cell * rows + 0.3)
    cells = figure.subplots(rows, wide, squeeze=False)
    for kind, (name, images) in enumerate(zip(names, stacks, strict=True)):
        for number in range(count):
            axes = cells[kind, number] if upright else cells[number, kind]
            _show(axes, images[number])
            if number == 0:
                (axes.set_ylabel if upright else axes.set_title)(name, fontsize=9)
    save(figure, path, dpi=_DPI)


def draw_grid(images: Floats, path: Path) -> None:
    """Draw all `images` in a square grid without gaps."""
    write_png(path, _enlarged(tile(to_pixels(images))))


def draw_rows(images: Floats, path: Path) -> None:
    """Draw ``float32 (rows, columns, height, width, channels)`` in rows with gaps between them."""
    rows, columns, height, width, channels = images.shape
    strips = images.transpose(0, 2, 1, 3, 4).reshape(rows, height, columns * width, channels)
    gapped = np.pad(strips, ((0, 0), (0, max(2, height // 12)), (0, 0), (0, 0)), constant_values=1.0)
    write_png(path, _enlarged(to_pixels(gapped.reshape(-1, columns * width, channels))))


@without_local_style()
def draw_latent_plane(codes: Floats, labels: Labels | None, classes: Sequence[str], path: Path) -> None:
    """Draw two-dimensional `codes` (n, 2) as points, colored by class if labels are known."""
    figure = _figure(6.4, 5.2)
    axes = figure.subplots()
    if labels is None:
        axes.scatter(codes[:, 0], codes[:, 1], s=_POINT_SIZE)
    else:
        for label in np.unique(labels):
            chosen = codes[labels == label]
            name = classes[label] if label < len(classes) else str(label)
            axes.scatter(chosen[:, 0], chosen[:, 1], s=_POINT_SIZE, color=f"C{label % 10}", label=name)
        figure.legend(loc="outside right upper", fontsize="small", markerscale=3)
    axes.set(xlabel="code 1", ylabel="code 2")
    save(figure, path, dpi=_DPI)


def draw_filters(weights: npt.NDArray[np.float32], path: Path) -> None:
    """Draw a first layer's kernels, ``float32 (filters, channels, height, width)``, each scaled to its own range."""
    kernels = weights.transpose(0, 2, 3, 1)
    if kernels.shape[3] not in (1, 3):
        kernels = kernels.mean(axis=3, keepdims=True)
    low = kernels.min(axis=(1, 2, 3), keepdims=True)
    high = kernels.max(axis=(1, 2, 3), keepdims=True)
    scaled = (kernels - low) / np.maximum(high - low, 1e-12)
    # Enlarged before they are framed, so that the frames are thin.
    enlarged = scaled.repeat(8, axis=1).repeat(8, axis=2)
    framed = np.pad(enlarged, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0)
    draw_grid(np.asarray(framed, dtype=np.float32), path)


def _enlarged(pixels: Pixels) -> Pixels:
    """Repeat the pixels of a small picture ``(height, width, channels)`` so that it is easy to see."""
    factor = max(1, _PIXELS_WIDE // pixels.shape[1])
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _show(axes: Axes, image: Floats) -> None:
    gray = image.shape[2] != 3
    axes.imshow(image[:, :, 0] if gray else image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
