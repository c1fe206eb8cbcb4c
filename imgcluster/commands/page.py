"""Writing the page: what the workspace holds, made into what the page shows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from imgcluster._version import __version__
from imgcluster.errors import WorkspaceError
from imgcluster.fileio.atomic import write_text
from imgcluster.fileio.csv_tables import read_table
from imgcluster.fileio.path_text import from_text
from imgcluster.placement import Journal
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.report.content import Cluster, Images, Page, Thumbnails, choose_embedded, facts, overview
from imgcluster.report.exemplars import nearest_clusters, representatives
from imgcluster.report.page import render
from imgcluster.report.projection import Layout, choose_layout, lay_out
from imgcluster.report.sprites import sheets, tile_side
from imgcluster.types import Metric
from imgcluster.workspace.caches import read_layout, write_layout
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.plans import identity_of
from imgcluster.workspace.results import Results
from imgcluster.workspace.shards import Embeddings

__all__ = [
    "current_paths",
    "layout_of",
    "write_page",
]

# So many pictures, and the data of ten times as many images, are a page that opens at once and can be mailed.
_EMBEDDED: Final = 10_000
# Representatives are shown larger than the rest.
_LARGE_SIDE: Final = 128
_LARGE: Final = 600
_LARGE_BUDGET: Final = 1_500_000


def write_page(
    space: Workspace,
    results: Results,
    embeddings: Embeddings,
    manifest: dict[str, Any],
    journal: Journal | None,
    *,
    on_progress: OnProgress = ignore_progress,
) -> None:
    """Write the page of `results` and `embeddings`, which must be of the same images in the same order.

    Raises:
        WorkspaceError: They are not.
    """
    if embeddings.locations != results.locations:
        raise WorkspaceError(f"the tables in {space.path} are not of its embeddings: run imgcluster cluster again")
    metric: Metric = manifest["encoder"].get("metric", "cosine")
    layout = layout_of(space, embeddings, metric, int(results.metrics["options"]["seed"]), on_progress)
    shown = representatives(embeddings.vectors, metric, results.clusters, results.confidence, results.medoids)
    nearest = nearest_clusters(embeddings.vectors, metric, results.clusters)
    files = current_paths(results.locations, journal)
    thumbnails = _thumbnails(results, embeddings, shown, files, on_progress)
    skipped = Counter(row["reason"] for row in read_table(space.skipped, ("reason",))) if space.skipped.exists() else {}
    clusters = tuple(_cluster(results, number, shown[number], nearest.get(number, [])) for number in shown)
    count = sum(cluster.number >= 0 for cluster in clusters)
    page = Page(
        identity=identity_of(results.paths, results.clusters),
        title=f"{count} clusters of {len(results.clusters):,} images" if count != 1 else "One cluster",
        sentences=overview(results.metrics, manifest, int((results.clusters < 0).sum())),
        warnings=tuple(results.metrics.get("warnings", ())),
        facts=(*facts(results.metrics, manifest, layout.how), ("Images from", results.base)),
        clusters=clusters,
        images=_images(space, results, layout, files),
        thumbnails=thumbnails,
        map_how=layout.how,
        skipped=tuple(sorted(skipped.items(), key=lambda item: (-item[1], item[0]))),
        command=space.command("apply imgcluster-plan.json"),
        made_by=f"Made by imgcluster {__version__}, on this computer; this page loads nothing from the network.",
    )
    on_progress(Progress("report", 0))
    write_text(space.report, render(page))


def layout_of(
    space: Workspace, embeddings: Embeddings, metric: Metric, seed: int, on_progress: OnProgress = ignore_progress
) -> Layout:
    """Return the map's layout, from the workspace where it holds one of these embeddings."""
    method = choose_layout(len(embeddings.locations))
    key = f"{embeddings.fingerprint} {method} {seed}"
    stored = read_layout(space.layout, key)
    if stored is not None and len(stored[0]) == len(embeddings.locations):
        return Layout(*stored)
    on_progress(Progress("layout", 0))
    layout = lay_out(embeddings.vectors, metric, method, seed=seed)
    write_layout(space.layout, key, layout.points, layout.how)
    return layout


def current_paths(locations: Sequence[str], journal: Journal | None) -> list[Path]:
    """Return where the file of each image lies now: where it was found, or where ``--place move`` put it."""
    moved = {}
    if journal is not None and journal.mode == "move":
        moved = {entry.source: from_text(entry.target) for entry in journal.entries}
    return [moved.get(location) or from_text(location) for location in locations]


def _thumbnails(
    results: Results, embeddings: Embeddings, shown: dict[int, list[int]], files: list[Path], on_progress: OnProgress
) -> tuple[Thumbnails, ...]:
    chosen = choose_embedded(results.clusters, results.confidence, shown, most=_EMBEDDED)
    largest = int(embeddings.sizes.max(initial=1))
    side = tile_side(len(chosen), largest)
    large_side = min(_LARGE_SIDE, largest)
    tiers: list[tuple[int, list[int], int | None]] = [(side, chosen, None)]
    if side < large_side:
        each = max(1, _LARGE // max(1, len(shown)))
        tiers.insert(0, (large_side, [index for inside in shown.values() for index in inside[:each]], _LARGE_BUDGET))
    total = sum(len(indices) for _, indices, _ in tiers)
    before = 0
    found = []
    for pixels, indices, budget in tiers:

        def step(done: int, before: int = before) -> None:
            on_progress(Progress("thumbnails", before + done, total))

        chosen_files = [files[index] for index in indices]
        made = list(
            sheets(chosen_files, pixels, step=step)
            if budget is None
            else sheets(chosen_files, pixels, budget=budget, step=step)
        )
        columns = made[0].columns if made else 1
        missing = [number * columns * columns + place for number, sheet in enumerate(made) for place in sheet.missing]
        found.append(
            Thumbnails(
                pixels, columns, np.array(indices, np.int32), tuple(missing), tuple(sheet.webp for sheet in made)
            )
        )
        before += len(indices)
    return tuple(found)


def _cluster(results: Results, number: int, shown: list[int], nearest: list[tuple[int, float]]) -> Cluster:
    row = results.rows.get(number, {})
    inside = results.clusters == number
    medoids = np.flatnonzero(inside & results.medoids)
    return Cluster(
        number=number,
        name=row.get("name", ""),
        size=int(inside.sum()),
        silhouette=_number(row, "silhouette"),
        stability=_number(row, "stability"),
        mean_distance=_number(row, "mean_distance"),
        medoid=int(medoids[0]) if number >= 0 and len(medoids) else None,
        nearest=tuple((other, round(distance, 4)) for other, distance in nearest),
        representatives=tuple(shown),
    )


def _number(row: dict[str, str], column: str) -> float | None:
    return float(row[column]) if row.get(column) else None


def _images(space: Workspace, results: Results, layout: Layout, files: list[Path]) -> Images:
    folders: dict[str, int] = {}
    names, folder = [], np.empty(len(results.paths), np.int32)
    for index, path in enumerate(results.paths):
        home, _, name = path.rpartition("/")
        folder[index] = folders.setdefault(home, len(folders))
        names.append(name)
    linked = [""] * len(folders)
    links: dict[int, str] = {}
    for index, location in enumerate(results.locations):
        home = location.rpartition("/")[0]
        if not linked[folder[index]]:
            linked[folder[index]] = _link(from_text(home + "/"), space.path)
        # A browser makes a link of a folder's link and a name; what lies elsewhere, or holds other bytes, has its own.
        if files[index].name != names[index] or files[index] != from_text(location):
            links[index] = _link(files[index], space.path)
    return Images(
        names=names,
        folders=list(zip(folders, linked, strict=True)),
        folder=folder,
        links=links,
        cluster=results.clusters.astype(np.int32),
        runner_up=results.runner_ups,
        confidence=results.confidence,
        distance=results.distances.astype(np.float32),
        points=layout.points,
    )


def _link(path: Path, folder: Path) -> str:
    """Return a link to a file that works from a page in `folder`, for as long as both keep their places."""
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # another drive of Windows
        return path.as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))
