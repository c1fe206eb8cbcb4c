"""Plots of a clustering, drawn with matplotlib: map, montages, sizes, tree, confusion matrix, candidates.

Each function takes arrays and gives a matplotlib figure; `save` writes it. Colors are the page's.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.clustering.types import Candidate
from imgcluster.fileio.atomic import atomic_path
from imgcluster.report.palette import NOISE_COLOR, cluster_color, marker
from imgcluster.types import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "candidates_figure",
    "confusion_figure",
    "map_figure",
    "montage_figure",
    "save",
    "silhouette_figure",
    "sizes_figure",
    "tree_figure",
    "without_local_style",
]

_MARKERS: Final = {"circle": "o", "square": "s", "diamond": "D"}
# Above this many points an SVG holds them as a picture: no program opens a hundred thousand circles.
_DRAWN_UP_TO: Final = 5_000
_MAP_INCHES: Final = 8.0
_PICTURE_INCHES: Final = 0.46
_LABELED_UP_TO: Final = 40

# More numbers than this are unreadable; the colors still show the pattern.
_NUMBERS_UP_TO: Final = 400
_INCH_PER_CELL: Final = 0.42
_INCH_PER_CHARACTER: Final = 0.08
_LONGEST_LABEL: Final = 40
_LARGEST_INCHES: Final = 24.0


@contextmanager
def without_local_style() -> Iterator[None]:
    """Ignore a file ``matplotlibrc`` of the current folder, which matplotlib reads.

    The folder can be a stranger's, and the file can let matplotlib run LaTeX.
    """
    import matplotlib

    with matplotlib.rc_context():
        if os.path.dirname(os.path.abspath(matplotlib.matplotlib_fname())) == os.getcwd():
            matplotlib.rcdefaults()
        yield


@without_local_style()
def map_figure(
    points: npt.NDArray[np.float32],
    clusters: npt.NDArray[np.int64],
    titles: Mapping[int, str],
    pictures: Sequence[tuple[int, Pixels]],
    method: str,
) -> Figure:
    """Draw every image as a point, pictures where there is room, and the clusters' titles.

    Args:
        points: ``float32 (n, 2)`` in [−1, 1].
        clusters: ``int64 (n,)``; −1 is noise.
        titles: What to call each cluster.
        pictures: Images (by row) with their pixels, ``uint8 (side, side, 3)``; earlier ones take the room of later
            ones. The first of each cluster, its most typical, carries the title.
        method: How the map was made, in words.
    """
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    figure, axes = _axes(_MAP_INCHES, _MAP_INCHES)
    size = float(np.clip(3000 / np.sqrt(max(1, len(points))) / 4, 1.5, 30))
    for number in _in_order(clusters):
        inside = clusters == number
        axes.scatter(
            points[inside, 0],
            points[inside, 1],
            s=size,
            c=cluster_color(number),
            marker=_MARKERS[marker(number)],
            linewidths=0,
            alpha=0.5 if number < 0 else 0.85,
            rasterized=len(points) > _DRAWN_UP_TO,
        )
    axes.set_xlim(-1.08, 1.08)
    axes.set_ylim(-1.08, 1.08)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(method)
    room = _PICTURE_INCHES / _MAP_INCHES * 2.16 * 1.12
    taken: list[npt.NDArray[np.float32]] = []
    titled: set[int] = set()
    for index, pixels in pictures:
        if any(np.abs(points[index] - other).max() < room for other in taken):
            continue
        taken.append(points[index])
        number = int(clusters[index])
        picture = OffsetImage(pixels, zoom=_PICTURE_INCHES * 72 / pixels.shape[0], resample=True)
        frame = {"edgecolor": cluster_color(number), "linewidth": 1.5, "boxstyle": "square,pad=0"}
        axes.add_artist(AnnotationBbox(picture, tuple(points[index]), pad=0, bboxprops=frame))
        if number >= 0 and number not in titled:
            titled.add(number)
            _draw_title(axes, points[index], number, titles[number])
    return figure


def _draw_title(axes: Axes, point: npt.NDArray[np.float32], number: int, title: str) -> None:
    """Draw the title of a cluster below the picture at a point."""
    box = {"facecolor": "white", "edgecolor": cluster_color(number), "boxstyle": "round,pad=0.2", "linewidth": 1}
    axes.annotate(
        _plain(title),
        tuple(point),
        (0, -_PICTURE_INCHES * 36 - 8),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=7,
        bbox=box,
        zorder=10,
    )


@without_local_style()
def montage_figure(canvas: Pixels, number: int, title: str) -> Figure:
    """Draw a montage of images, ``uint8 (height, width, 3)``, under a title in the cluster's color."""
    scale = 6.0 / max(canvas.shape[:2])
    figure, axes = _axes(canvas.shape[1] * scale, canvas.shape[0] * scale + 0.4)
    axes.imshow(canvas)
    axes.set_axis_off()
    axes.set_title(_plain(title), color="black", fontsize=11, loc="left")
    axes.plot([0, 1], [1.008, 1.008], color=cluster_color(number), linewidth=3, transform=axes.transAxes, clip_on=False)
    return figure


@without_local_style()
def silhouette_figure(
    silhouettes: npt.NDArray[np.float64], clusters: npt.NDArray[np.int64], titles: Mapping[int, str]
) -> Figure:
    """Draw the silhouettes (Rousseeuw 1987) of all images that have one, by cluster and sorted, and their mean."""
    numbers = [number for number in _in_order(clusters) if number >= 0]
    figure, axes = _axes(6.5, float(np.clip(1.5 + 0.4 * len(numbers), 3.5, 16)))
    start, gap = 0, max(1, int(np.isfinite(silhouettes).sum()) // 150)
    ticks: list[float] = []
    for number in numbers:
        values = silhouettes[(clusters == number) & np.isfinite(silhouettes)]
        rows = np.arange(start, start + len(values))
        axes.fill_betweenx(rows, 0, np.sort(values)[::-1], color=cluster_color(number), linewidth=0, step="mid")
        ticks.append(start + len(values) / 2)
        start += len(values) + gap
    known = silhouettes[np.isfinite(silhouettes) & (clusters >= 0)]
    if len(known):
        mean = float(known.mean())
        axes.axvline(mean, color="black", linestyle="--", linewidth=1, label=f"mean {mean:.2f}")
        axes.legend(loc="lower right", frameon=False)
    else:
        axes.text(0.5, 0.5, "not defined here", transform=axes.transAxes, ha="center")
    axes.axvline(0, color="gray", linewidth=0.8)
    _label(axes.set_yticks, ticks, [titles[number] for number in numbers])
    axes.invert_yaxis()
    axes.set_xlabel("silhouette")
    return figure


@without_local_style()
def sizes_figure(sizes: Mapping[int, int], titles: Mapping[int, str]) -> Figure:
    """Draw the number of images of each cluster."""
    numbers = list(sizes)
    figure, axes = _axes(float(np.clip(1.5 + 0.42 * len(numbers), 4, 20)), 3.6)
    bars = axes.bar(range(len(numbers)), list(sizes.values()), color=[cluster_color(number) for number in numbers])
    if len(numbers) <= _LABELED_UP_TO:
        axes.bar_label(bars, fontsize=8, padding=2)
    turned = max((len(titles[number]) for number in numbers), default=0) > 5
    _label(axes.set_xticks, list(range(len(numbers))), [titles[number] for number in numbers])
    if turned:
        axes.tick_params("x", rotation=60)
        for text in axes.get_xticklabels():
            text.set_horizontalalignment("right")
            text.set_rotation_mode("anchor")
    axes.set_ylabel("images")
    return figure


@without_local_style()
def tree_figure(plot: Mapping[str, Any], chosen: Mapping[int, int], titles: Mapping[int, str]) -> Figure:
    """Draw HDBSCAN's condensed tree (Campello, Moulavi & Sander 2013): what stays together as density grows.

    Args:
        plot: What hdbscan's ``CondensedTree.get_plot_data`` gives.
        chosen: The clusters that the nodes of the tree became, by node.
        titles: What to call each cluster.
    """
    figure, axes = _axes(8.0, 5.5)
    bounds = plot["cluster_bounds"]
    centers = np.asarray(plot["bar_centers"], dtype=float)
    heights = np.asarray(plot["bar_tops"], dtype=float)  # measured from the bottoms
    bottoms = np.asarray(plot["bar_bottoms"], dtype=float)
    colors = np.full(len(centers), NOISE_COLOR, dtype=object)
    for node, number in chosen.items():
        left, right, top, _ = bounds[node]
        inside = (centers >= left) & (centers <= right) & (bottoms >= top - 1e-12)
        colors[inside] = cluster_color(number)
    axes.bar(
        centers,
        heights,
        bottom=bottoms,
        width=plot["bar_widths"],
        color=colors.tolist(),
        linewidth=0,
        rasterized=len(centers) > _DRAWN_UP_TO,
    )
    for xs, ys in zip(plot["line_xs"], plot["line_ys"], strict=True):
        axes.plot(xs, ys, color="black", linewidth=0.8, zorder=0)
    if len(chosen) <= _LABELED_UP_TO:
        for node, number in chosen.items():
            left, right, _, low = bounds[node]
            axes.annotate(
                _plain(titles[number]),
                ((left + right) / 2, low),
                (0, -4),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=7,
            )
    label = "λ = 1 / distance"
    densities = [bounds[node][3] for node in chosen if bounds[node][3] > 0]
    if densities:
        # A few near-duplicates may be a hundred times as dense as all others.
        linear = float(np.median(densities))
        axes.set_yscale("symlog", linthresh=linear)
        axes.yaxis.set_major_formatter("{x:g}")
        label += f" (logarithmic above {linear:.3g})"
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_ylabel(label)
    return figure


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _label(setter: Any, places: Sequence[float], titles: Sequence[str]) -> None:
    """Put as many titles to their places as can be read."""
    every = -(-len(places) // _LABELED_UP_TO) if places else 1
    setter(list(places)[::every], [_plain(title) for title in titles[::every]])


def _in_order(clusters: npt.NDArray[np.int64]) -> list[int]:
    """Return the clusters with noise first: what is drawn later lies on top."""
    return [int(number) for number in np.unique(clusters)]


def _plain(text: str, longest: int = 30) -> str:
    """Return the text, shortened, without formulas, which a "$" would start."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return short.replace("$", r"\$")


@without_local_style()
def confusion_figure(counts: npt.NDArray[np.int64], labels: Sequence[str], clusters: Sequence[str]) -> Figure:
    """Draw a confusion matrix: counts ``int64 (labels, clusters)``, colored by the share of the label's images."""
    rows, columns = counts.shape
    names, called = ([_plain(name, _LONGEST_LABEL) for name in each] for each in (labels, clusters))
    width = min(2.5 + _INCH_PER_CHARACTER * max(map(len, names), default=0) + _INCH_PER_CELL * columns, _LARGEST_INCHES)
    height = min(2.0 + _INCH_PER_CHARACTER * max(map(len, called), default=0) + _INCH_PER_CELL * rows, _LARGEST_INCHES)
    figure, axes = _axes(width, height)
    axes.spines[:].set_visible(True)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(columns), called, rotation=90)
    axes.set_yticks(range(rows), names)
    axes.set_xlabel("cluster")
    axes.set_ylabel("label")
    if counts.size <= _NUMBERS_UP_TO:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=8)
    figure.colorbar(image, label="share of the label's images")
    return figure


@without_local_style()
def candidates_figure(candidates: Sequence[Candidate]) -> Figure:
    """Draw silhouette, stability and persistence over the numbers of clusters, the chosen one marked."""
    figure, axes = _axes(7.0, 3.6)
    axes.spines[:].set_visible(True)
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


@without_local_style()
def save(figure: Figure, path: Path, *, dpi: int = 120) -> None:
    """Write a figure as PNG or, where `path` ends so, SVG; the same figure gives the same bytes."""
    from matplotlib import rc_context

    kind = "svg" if path.suffix == ".svg" else "png"
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    # Written again below, so compressing it well would be in vain.
    quick = {"pil_kwargs": {"compress_level": 1}} if kind == "png" else {}
    with atomic_path(path) as draft, warnings.catch_warnings(), rc_context({"svg.hashsalt": "imgcluster"}):
        # Characters that matplotlib's font lacks are drawn as boxes; the table beside the picture has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        # On white, whatever a user's own settings of matplotlib say.
        figure.savefig(draft, format=kind, dpi=dpi, metadata=metadata, transparent=False, facecolor="white", **quick)
        if kind == "png":
            _slim(draft)


def _slim(path: Path) -> None:
    """Write a PNG without what it does not use: transparency, and colors where all is gray."""
    from PIL import Image

    with Image.open(path) as picture:
        resolution, colors = picture.info.get("dpi"), picture.convert("RGB")
    red, green, blue = colors.split()
    slim = red if red.tobytes() == green.tobytes() == blue.tobytes() else colors
    slim.save(path, "PNG", **({"dpi": resolution} if resolution else {}))
