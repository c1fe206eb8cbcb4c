"""Pages made of plain values, without images or a workspace; nothing here is a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from imgcluster.report.page_content import Cluster, Images, Page, Thumbnails
from imgcluster.report.sprites import make_sheets

SIDE = 16
TILE_COLOR = (250, 120, 10)


def example_page(labels: Sequence[int], *, points: Any = None, thumbnails: bool = True, **changes: Any) -> Page:
    """Return a page of images ``00.png``, ``01.png``, … in clusters `labels`; the first of each is its medoid.

    Points lie on a circle unless they are given; thumbnails are of one color. `changes` are fields of `Page`.
    """
    clusters = np.array(labels, np.int32)
    count = len(clusters)
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    numbers = sorted(set(clusters.tolist()), key=lambda number: (number < 0, number))
    tiles = [np.full((SIDE, SIDE, 3), TILE_COLOR, np.uint8)] * count
    sheets = list(make_sheets(tiles, count, SIDE))
    columns = sheets[0].columns
    page = Page(
        identity="0" * 24,
        title="Example",
        sentences=(),
        warnings=(),
        facts=(),
        clusters=tuple(_cluster(number, np.flatnonzero(clusters == number).tolist()) for number in numbers),
        images=Images(
            names=[f"{number:02d}.png" for number in range(count)],
            folders=[("", "missing")],
            folder=np.zeros(count, np.int32),
            links={},
            cluster=clusters,
            runner_up=None,
            confidence=np.linspace(0.9, 0.1, count),
            distance=np.linspace(0, 1, count, dtype=np.float32),
            pixels=np.arange(count, dtype=np.int32) % 5,
            points=np.array(circle if points is None else points, np.float32),
        ),
        thumbnails=(
            (Thumbnails(SIDE, columns, np.arange(count, dtype=np.int32), (), tuple(one.webp for one in sheets)),)
            if thumbnails
            else ()
        ),
        skipped=(),
        workspace_option="-w out",
        made_by="Example",
    )
    return replace(page, **changes)


def _cluster(number: int, members: list[int]) -> Cluster:
    return Cluster(
        number=number,
        name="",
        size=len(members),
        silhouette=None if number < 0 else 0.25,
        stability=None,
        mean_distance=None if number < 0 else 0.5,
        medoid=None if number < 0 else members[0],
        nearest=(),
        representatives=tuple(members[:12]),
    )
