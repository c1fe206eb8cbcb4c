"""A page of very many images: which of them it shows, and that it shows the same of them as a page of all."""

from __future__ import annotations

import dataclasses

import numpy as np

import pages
from imgcluster.images.types import Exif
from imgcluster.report.page import render
from imgcluster.report.page_content import Cluster, Copy, Findings, Images, Page, Thumbnails, Unusual
from imgcluster.report.sampling import sampled

COUNT = 900


def page() -> Page:
    """A cluster of 800 images, one of 90, and ten images of noise."""
    labels = np.repeat([0, 1, -1], [800, 90, 10]).astype(np.int32)
    order = np.random.default_rng(0).permutation(COUNT)
    labels, confidence = labels[order], np.linspace(0, 1, COUNT)
    representatives = {number: tuple(np.flatnonzero(labels == number)[[3, 1]].tolist()) for number in (0, 1, -1)}
    return Page(
        identity="0" * 24,
        title="900 images",
        sentences=("first",),
        warnings=(),
        facts=(),
        clusters=tuple(
            Cluster(
                number, "", int((labels == number).sum()), 0.1, 0.9, 0.3, shown[0] if number >= 0 else None, (), shown
            )
            for number, shown in representatives.items()
        ),
        images=Images(
            names=[f"{row}.jpg" for row in range(COUNT)],
            folders=[("in", "../in")],
            folder=np.zeros(COUNT, np.int32),
            links={5: "x/5.jpg", 6: "x/6.jpg"},
            cluster=labels,
            runner_up=np.arange(COUNT, dtype=np.int32) % 2,
            confidence=confidence,
            distance=np.arange(COUNT, dtype=np.float32),
            pixels=np.arange(COUNT, dtype=np.int32),
            points=np.zeros((COUNT, 2), np.float32),
            decisions={17: "pinned"},
            exif=[Exif(camera=f"camera {row}") for row in range(COUNT)],
        ),
        thumbnails=(Thumbnails(8, 128, np.array([5, 801], np.int32), (), (b"webp",)),),
        skipped=(),
        workspace_option="",
        made_by="",
        findings=Findings(
            neighbors=np.zeros((COUNT, 1), np.int32),
            duplicates=((Copy(700, "best", 1.0, 1, 1, 1), Copy(701, "exact", 1.0, 1, 1, 1)),),
            set_aside=(701,),
            outliers=(Unusual(333, ("blurred",), None),),
            remaining=((702,),),
        ),
    )


def test_a_small_page_is_not_sampled() -> None:
    whole = page()
    assert sampled(whole, most=COUNT) is whole


def test_every_cluster_is_shown_with_its_size() -> None:
    whole, sample = page(), sampled(page(), most=120)
    assert 120 <= len(sample.images.names) <= 130
    assert [cluster.size for cluster in sample.clusters] == [800, 90, 10]
    assert np.bincount(sample.images.cluster + 1).tolist()[0] == 10
    assert np.bincount(sample.images.cluster + 1).min() >= 10
    assert all(text in sample.sentences[-1] for text in (f"{len(sample.images.names):,}", "900"))
    assert sample.identity == whole.identity
    # From the least to the most confident ones.
    shown = sample.images.confidence[sample.images.cluster == 0]
    assert (shown.min() < 0.05, shown.max() > 0.95) == (True, True)


def test_all_columns_are_of_the_same_images() -> None:
    whole, sample = page(), sampled(page(), most=120)
    rows = [int(name.split(".")[0]) for name in sample.images.names]
    for name in ("folder", "cluster", "runner_up", "confidence", "distance", "pixels", "points"):
        assert (getattr(sample.images, name) == getattr(whole.images, name)[rows]).all()
    assert [exif.camera for exif in sample.images.exif] == [f"camera {row}" for row in rows]
    assert {rows[row]: link for row, link in sample.images.links.items()}[5] == "x/5.jpg"
    assert {rows[row]: text for row, text in sample.images.decisions.items()} == {17: "pinned"}
    assert [rows[row] for row in sample.thumbnails[0].images] == [5, 801]
    for cluster, before in zip(sample.clusters, whole.clusters, strict=True):
        assert tuple(rows[row] for row in cluster.representatives) == before.representatives
        assert (None if cluster.medoid is None else rows[cluster.medoid]) == before.medoid
    findings = sample.findings
    assert [rows[copy.image] for copy in findings.duplicates[0]] == [700, 701]
    assert ([rows[row] for row in findings.set_aside], rows[findings.outliers[0].image]) == ([701], 333)
    assert [rows[row] for row in findings.remaining[0]] == [702]
    assert findings.neighbors is None


def test_a_sample_can_be_written() -> None:
    sample = sampled(page(), most=120)
    read = pages.read(render(sample))
    assert len(read.paths) == len(sample.images.names)
    without = dataclasses.replace(page(), images=dataclasses.replace(page().images, exif=(), runner_up=None))
    assert pages.read(render(sampled(without, most=50))).document["images"]["runnerUp"] is None
