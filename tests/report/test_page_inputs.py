"""From arrays and table rows to the values of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.report.page_content import Images
from imgcluster.report.page_inputs import choose_embedded, cluster_rows, image_rows, thumbnail_tiers


def choose(rows: list[tuple[int, float]], most: int, shown: dict[int, list[int]] | None = None) -> list[int]:
    labels = np.array([row[0] for row in rows], np.int64)
    representatives = {int(number): [] for number in np.unique(labels)} if shown is None else shown
    return choose_embedded(labels, np.array([row[1] for row in rows], np.float64), representatives, most=most)


class TestChooseEmbedded:
    def test_all_of_a_small_set_cluster_by_cluster(self) -> None:
        rows = [(1, 0.2), (0, 0.5), (1, 0.9), (0, 0.7), (-1, 0.0)]
        assert choose(rows, 100, {0: [1], 1: [2], -1: [4]}) == [1, 3, 2, 0, 4]

    def test_small_clusters_are_complete_and_large_ones_share_the_rest(self) -> None:
        rows = [(0, 0.5)] * 500 + [(1, 0.5)] * 300 + [(2, 0.5)] * 10
        chosen = np.array([rows[index][0] for index in choose(rows, 110)])
        assert [(chosen == number).sum() for number in range(3)] == [50, 50, 10]

    def test_of_a_large_cluster_representatives_low_confidence_and_an_even_sample(self) -> None:
        rows = [(0, 1 - index / 1000) for index in range(1000)]
        chosen = choose(rows, 40, {0: [500, 3, 77]})
        assert chosen[:3] == [500, 3, 77]
        assert {999, 998, 990} <= set(chosen)
        assert max(np.diff(sorted(chosen))) < 80

    @settings(max_examples=60, derandomize=True)
    @given(
        st.lists(st.tuples(st.integers(-1, 4), st.floats(0, 1) | st.just(float("nan"))), max_size=60),
        st.integers(0, 80),
    )
    def test_never_more_than_requested_and_none_twice(self, rows: list[tuple[int, float]], most: int) -> None:
        chosen = choose(rows, most)
        assert len(chosen) == len(set(chosen)) == min(most, len(rows))


class TestThumbnailTiers:
    def tiers(self, count: int, largest: int, most: int = 10_000) -> list[tuple[int, int]]:
        labels = np.zeros(count, np.int64)
        found = thumbnail_tiers(labels, np.ones(count), {0: list(range(12))}, largest, most=most)
        return [(tier.side, len(tier.images)) for tier in found]

    def test_few_images_have_one_size(self) -> None:
        assert self.tiers(100, 4000) == [(128, 100)]

    def test_of_many_images_the_representatives_are_larger(self) -> None:
        assert self.tiers(5000, 4000) == [(128, 12), (64, 5000)]

    def test_small_images_are_not_enlarged(self) -> None:
        assert self.tiers(5000, 28) == [(28, 5000)]

    def test_no_more_than_requested(self) -> None:
        assert self.tiers(100, 4000, most=20) == [(128, 20)]


class TestClusterRows:
    def test_noise_has_no_scores_and_no_medoid(self) -> None:
        table = {
            0: {"name": "Sea", "silhouette": "0.5", "stability": "", "mean_distance": "0.25"},
            -1: {"silhouette": "", "mean_distance": ""},
        }
        sea, noise = cluster_rows(
            np.array([0, -1, 0]),
            np.array([False, False, True]),
            table,
            {0: [2, 0], -1: [1]},
            {0: [(1, 0.123456)]},
        )
        assert (sea.name, sea.size, sea.medoid, sea.representatives) == ("Sea", 2, 2, (2, 0))
        assert (sea.silhouette, sea.stability, sea.mean_distance) == (0.5, None, 0.25)
        assert sea.nearest == ((1, 0.1235),)
        assert (noise.size, noise.medoid, noise.silhouette, noise.nearest) == (1, None, None, ())


class TestImageRows:
    def rows(self, paths: list[str], locations: list[str], current: list[str]) -> Images:
        count = len(paths)
        arrays: dict[str, Any] = {
            "labels": np.zeros(count, np.int64),
            "runner_ups": None,
            "confidence": np.ones(count),
            "distances": np.zeros(count),
            "sizes": np.full((count, 2), 20, np.int32),
            "points": np.zeros((count, 2), np.float32),
            "decisions": {},
            "exif": [],
            "base": "",
        }
        return image_rows(Path("/data/out"), paths, locations, current, **arrays)

    def test_images_share_the_link_of_their_folder(self) -> None:
        locations = ["/data/in/a/1.png", "/data/in/b c/2.png", "/data/in/a/3.png"]
        found = self.rows(["a/1.png", "b c/2.png", "a/3.png"], locations, locations)
        assert found.folders == [("a", "../in/a"), ("b c", "../in/b%20c")]
        assert found.folder.tolist() == [0, 1, 0]
        assert found.names == ["1.png", "2.png", "3.png"]
        assert found.links == {}

    @pytest.mark.parametrize("current", ["/data/out/clusters/cluster_000/1.png", "/data/out/other.png"])
    def test_a_moved_image_has_its_own_link(self, current: str) -> None:
        found = self.rows(["1.png"], ["/data/in/1.png"], [current])
        assert found.links == {0: current.removeprefix("/data/out/")}
