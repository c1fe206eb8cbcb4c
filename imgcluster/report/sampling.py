"""A page of very many images shows a sample of them, from every cluster."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from imgcluster.report.page_content import Cluster, Copy, Findings, Images, Page, Thumbnails
from imgcluster.report.page_inputs import choose_embedded

__all__ = ["MAX_SHOWN", "sampled"]

MAX_SHOWN: Final = 200_000
"""Most images of a page, apart from those that it has a reason to show; it then has about 25 MB."""

_Rows = npt.NDArray[np.int64]


def sampled(page: Page, *, most: int = MAX_SHOWN) -> Page:
    """Return the page with about `most` of its images, if it has more, and a sentence that says so.

    Each cluster gets the same share; what small clusters do not need goes to larger ones. Of a cluster the sample has
    the representatives, the images with thumbnails, the least confident ones, and others evenly from high to low
    confidence. Images that were decided on, and those of findings, are all in it. Sizes and scores stay those of all.
    """
    total = len(page.images.names)
    if total <= most:
        return page
    shown = {cluster.number: list(cluster.representatives) for cluster in page.clusters}
    labels = page.images.cluster.astype(np.int64)
    chosen = set(choose_embedded(labels, page.images.confidence, shown, most=most))
    chosen.update(_named(page))
    rows = np.array(sorted(chosen), np.int64)
    # The new row of each row that is shown.
    new = np.full(total, -1, np.int64)
    new[rows] = np.arange(len(rows))
    sentence = (
        f"The page shows a sample of {len(rows):,} images, with some of every cluster; numbers and scores are those of "
        f"all {total:,}. Changes to a whole cluster apply to all of its images."
    )
    return dataclasses.replace(
        page,
        sentences=(*page.sentences, sentence),
        clusters=tuple(_cluster(cluster, new) for cluster in page.clusters),
        images=_images(page.images, rows, new),
        thumbnails=tuple(_thumbnails(tiles, new) for tiles in page.thumbnails),
        findings=_findings(page.findings, new),
    )


def _named(page: Page) -> Iterator[int]:
    """Yield the rows that the page shows for a reason."""
    findings = page.findings
    for cluster in page.clusters:
        yield from cluster.representatives
        if cluster.medoid is not None:
            yield cluster.medoid
    for tiles in page.thumbnails:
        yield from tiles.images.tolist()
    yield from page.images.decisions
    yield from (copy.image for group in (*findings.duplicates, *findings.bursts) for copy in group)
    yield from (unusual.image for unusual in findings.outliers)
    yield from findings.set_aside
    yield from itertools.chain(*findings.remaining)


def _cluster(cluster: Cluster, new: _Rows) -> Cluster:
    return dataclasses.replace(
        cluster,
        medoid=None if cluster.medoid is None else int(new[cluster.medoid]),
        representatives=tuple(new[list(cluster.representatives)].tolist()),
    )


def _images(images: Images, rows: _Rows, new: _Rows) -> Images:
    return dataclasses.replace(
        images,
        names=[images.names[row] for row in rows],
        folder=images.folder[rows],
        links={int(new[row]): link for row, link in images.links.items() if new[row] >= 0},
        cluster=images.cluster[rows],
        runner_up=None if images.runner_up is None else images.runner_up[rows],
        confidence=images.confidence[rows],
        distance=images.distance[rows],
        pixels=images.pixels[rows],
        points=images.points[rows],
        decisions={int(new[row]): decision for row, decision in images.decisions.items()},
        exif=[images.exif[row] for row in rows] if images.exif else (),
    )


def _thumbnails(tiles: Thumbnails, new: _Rows) -> Thumbnails:
    return dataclasses.replace(tiles, images=new[tiles.images].astype(np.int32))


def _findings(findings: Findings, new: _Rows) -> Findings:
    def moved(groups: tuple[tuple[Copy, ...], ...]) -> tuple[tuple[Copy, ...], ...]:
        return tuple(tuple(dataclasses.replace(copy, image=int(new[copy.image])) for copy in group) for group in groups)

    return dataclasses.replace(
        findings,
        # Similar images of a sample would be others than the most similar ones.
        neighbors=None,
        duplicates=moved(findings.duplicates),
        bursts=moved(findings.bursts),
        set_aside=tuple(new[list(findings.set_aside)].tolist()),
        remaining=tuple(tuple(new[list(group)].tolist()) for group in findings.remaining),
        outliers=tuple(dataclasses.replace(unusual, image=int(new[unusual.image])) for unusual in findings.outliers),
    )
