"""The figures of ``report --figures``: which there are, what goes into each, and their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from imgcluster.clustering import METHODS
from imgcluster.clustering.condensed_tree import condensed_tree
from imgcluster.clustering.density import single_linkage_tree
from imgcluster.commands.support.confusion import draw_confusion, read_confusion
from imgcluster.commands.support.normalized import with_normalized_lengths
from imgcluster.commands.support.placed_files import are_set_aside, current_paths
from imgcluster.commands.support.projection import projection_of
from imgcluster.commands.support.thumbnails import read_tiles
from imgcluster.features.centroids import silhouettes
from imgcluster.features.normalize import normalize_features
from imgcluster.features.reduce import choose_reduction, reduce
from imgcluster.fileio.atomic import remove
from imgcluster.images.arrays import tile
from imgcluster.placement import Journal, folder_name
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.report.exemplars import representatives
from imgcluster.report.plots import map_figure, montage_figure, save, silhouette_figure, sizes_figure, tree_figure
from imgcluster.report.projection import Projection
from imgcluster.types import Metric, Pixels
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import Results, encoder_metric
from imgcluster.workspace.shards import Embeddings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_figures"]

_MONTAGE: Final = 30
_SIDE: Final = 128
_DPI: Final = 160


def write_figures(
    workspace: Workspace,
    results: Results,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    journal: Journal | None,
    *,
    on_progress: OnProgress = ignore_progress,
) -> None:
    """Draw every figure there is data for, as PNG and SVG, into the workspace's ``figures``; earlier ones are removed.

    Raises:
        WorkspaceError: A table is not as it was written.
    """
    metric = encoder_metric(manifest)
    normalized = with_normalized_lengths(embeddings, manifest)
    shown = representatives(
        normalized.vectors,
        results.clusters,
        results.confidence,
        results.medoids,
        set_aside=are_set_aside(workspace, embeddings),
        count=_MONTAGE,
    )
    projection = projection_of(workspace, normalized, manifest, int(results.metrics["options"]["seed"]), on_progress)
    for path in workspace.figure_files:
        remove(path)
    total = 5 + len(shown)
    drawn = _figures(workspace, results, embeddings, metric, shown, projection, journal)
    on_progress(Progress("figures", 0, total))
    for done, (name, figure) in enumerate(drawn, start=1):
        for kind in ("png", "svg"):
            save(figure, workspace.figures / f"{name}.{kind}", dpi=_DPI)
        on_progress(Progress("figures", done, total))


def _figures(
    workspace: Workspace,
    results: Results,
    embeddings: Embeddings,
    metric: Metric,
    shown: dict[int, list[int]],
    projection: Projection,
    journal: Journal | None,
) -> Iterator[tuple[str, Figure]]:
    titles = {number: results.names.get(number) or ("noise" if number < 0 else str(number)) for number in shown}
    sizes = {number: int((results.clusters == number).sum()) for number in shown}
    pictures = _pictures(
        current_paths(workspace, results.locations, journal), [index for inside in shown.values() for index in inside]
    )
    # The most typical of all clusters first, then the second of each, …: where room is short, each gets some.
    waves = [inside[wave] for wave in range(_MONTAGE) for number, inside in shown.items() if wave < len(inside)]
    on_map = [(index, pictures[index]) for index in waves if index in pictures]
    yield "map", map_figure(projection.points, results.clusters, titles, on_map, projection.method)
    yield "sizes", sizes_figure(sizes, titles)
    values = silhouettes(embeddings.vectors, results.clusters, metric, order=embeddings.content_order)
    yield "silhouettes", silhouette_figure(values, results.clusters, titles)
    tree = _tree(results, embeddings, metric)
    if tree is not None:
        yield "tree", tree_figure(*tree, titles)
    confusion = read_confusion(workspace)
    if confusion is not None:
        yield "confusion", draw_confusion(confusion, results.names)
    for number, inside in shown.items():
        tiles = [pictures[index] for index in inside if index in pictures]
        if tiles:
            name = folder_name(number, results.names.get(number, ""))
            title = f"{titles[number]} ({sizes[number]:,})"
            yield name, montage_figure(tile(_with_gaps(np.stack(tiles))), number, title)


def _with_gaps(pixels: Pixels) -> Pixels:
    gap = max(1, pixels.shape[1] // 32)
    return np.pad(pixels, ((0, 0), (gap, gap), (gap, gap), (0, 0)), constant_values=255)


def _pictures(files: list[Path], indices: list[int]) -> dict[int, Pixels]:
    tiles = read_tiles([files[index] for index in indices], _SIDE)
    return {index: pixels for index, pixels in zip(indices, tiles, strict=True) if pixels is not None}


def _tree(results: Results, embeddings: Embeddings, metric: Metric) -> tuple[dict[str, object], dict[int, int]] | None:
    order = embeddings.content_order
    if results.metrics["method"] != "hdbscan" or len(order) < 2:
        return None
    reduction = choose_reduction(str(results.metrics["options"]["reduce"]), METHODS["hdbscan"].reduction)
    reduced = reduce(
        normalize_features(embeddings.vectors[order], metric), reduction, seed=int(results.metrics["options"]["seed"])
    ).vectors
    parameters = results.metrics.get("parameters", {})
    hierarchy = single_linkage_tree(reduced, int(parameters.get("min_samples") or 1))
    return condensed_tree(hierarchy, parameters, results.clusters[order])
