"""What the page knows: which images are shown, and the sentences about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.report.content import choose_members, overview


def choose(rows: list[tuple[int, float, bool]]) -> dict[int, list[int]]:
    """Choose from rows of cluster, confidence and whether it is the medoid."""
    return choose_members(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float64),
        np.array([row[2] for row in rows], np.bool_),
    )


class TestChooseMembers:
    def test_the_medoid_first_then_by_confidence_then_in_order(self) -> None:
        chosen = choose([(0, 0.5, False), (0, 0.9, False), (0, 0.1, True), (0, 0.5, False), (0, 1.0, False)])
        assert chosen == {0: [2, 4, 1, 0, 3]}

    def test_clusters_by_number_and_noise_last(self) -> None:
        chosen = choose([(-1, 0, False), (2, 1, True), (0, 1, True), (1, 1, True), (-1, 0, False), (10, 1, True)])
        assert list(chosen) == [0, 1, 2, 10, -1]
        assert chosen[-1] == [0, 4]

    def test_a_confidence_that_is_no_number_comes_last(self) -> None:
        assert choose([(0, float("nan"), False), (0, 0.2, False), (0, 0.3, True)]) == {0: [2, 1, 0]}

    def test_nothing_and_only_noise(self) -> None:
        assert choose([]) == {}
        assert choose([(-1, 0, False), (-1, 0, False)]) == {-1: [0, 1]}

    @pytest.mark.parametrize(
        ("clusters", "each", "shown"),
        [(1, 5000, 1500), (10, 1000, 150), (100, 50, 15), (300, 20, 12), (300, 5, 5)],
    )
    def test_at_most_1500_in_all_but_twelve_of_each(self, clusters: int, each: int, shown: int) -> None:
        chosen = choose([(cluster, 0.5, number == 7) for cluster in range(clusters) for number in range(each)])
        assert [len(inside) for inside in chosen.values()] == [shown] * clusters
        if each > 7:
            assert all(inside[0] == cluster * each + 7 for cluster, inside in chosen.items())

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(st.integers(-1, 4), st.floats(0, 1), st.just(False)), max_size=40))
    def test_small_sets_are_shown_whole_and_each_image_once(self, rows: list[tuple[int, float, bool]]) -> None:
        chosen = choose(rows)
        assert sorted(index for inside in chosen.values() for index in inside) == list(range(len(rows)))
        for cluster, inside in chosen.items():
            assert all(rows[index][0] == cluster for index in inside)
            confidences = [rows[index][1] for index in inside]
            assert confidences == sorted(confidences, reverse=True)


def metrics(**values: Any) -> dict[str, Any]:
    return {
        "images": 1234,
        "clusters": 7,
        "method": "hdbscan",
        "reduction": "PCA to 10 dimensions",
        "options": {"seed": 3},
        "silhouette": None,
    } | values


class TestOverview:
    def test_what_was_clustered_and_how(self) -> None:
        assert overview(metrics(), {"encoder": {"name": "photos"}}, 34) == (
            "Encoder photos, method hdbscan after PCA to 10 dimensions, seed 3.",
            "34 images (3%) in no cluster: noise, like no group of others.",
        )

    def test_one_of_each(self) -> None:
        told = metrics(images=1, clusters=1, method="kmeans", reduction="none")
        assert overview(told, {}, 0) == ("Encoder ?, method kmeans, seed 3.",)
        assert overview(told, {}, 1)[1] == "1 image (100%) in no cluster: noise, like no group of others."

    @pytest.mark.parametrize(
        ("silhouette", "words"),
        [
            (0.8, "0.80: the clusters are well apart"),
            (0.5, "well apart"),
            (0.3, "apart, with some overlap"),
            (0.1, "the clusters overlap"),
            (0.0, "0.00: the clusters hardly differ"),
            (-0.4, "-0.40: the clusters hardly differ"),
        ],
    )
    def test_how_well(self, silhouette: float, words: str) -> None:
        sentence = overview(metrics(silhouette=silhouette), {}, 0)[1]
        assert sentence.startswith("Mean silhouette ")
        assert words in sentence

    def test_scores(self) -> None:
        scores = {"labels": "folders", "accuracy": 0.6, "nmi": 0.51239, "ari": -0.1, "purity": 1.0}
        assert overview(metrics(scores=scores), {}, 0)[-1] == (
            "Against the labels (folders): accuracy 0.600, NMI 0.512, ARI -0.100, purity 1.000."
        )
