"""What the page knows: which pictures are in it, and the sentences about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.report.content import choose_embedded, facts, overview, quality


def choose(rows: list[tuple[int, float]], most: int, shown: dict[int, list[int]] | None = None) -> list[int]:
    clusters = np.array([row[0] for row in rows], np.int64)
    known = {int(number): [] for number in np.unique(clusters)} if shown is None else shown
    return choose_embedded(clusters, np.array([row[1] for row in rows], np.float64), known, most=most)


class TestChooseEmbedded:
    def test_all_of_a_small_set_cluster_by_cluster(self) -> None:
        rows = [(1, 0.2), (0, 0.5), (1, 0.9), (0, 0.7), (-1, 0.0)]
        assert choose(rows, 100, {0: [1], 1: [2], -1: [4]}) == [1, 3, 2, 0, 4]

    def test_small_clusters_are_whole_and_large_ones_share_the_rest(self) -> None:
        rows = [(0, 0.5)] * 500 + [(1, 0.5)] * 300 + [(2, 0.5)] * 10
        chosen = np.array([rows[index][0] for index in choose(rows, 110)])
        assert [(chosen == number).sum() for number in range(3)] == [50, 50, 10]

    def test_of_a_large_cluster_the_representatives_the_doubtful_and_some_of_each_degree(self) -> None:
        rows = [(0, 1 - index / 1000) for index in range(1000)]
        chosen = choose(rows, 40, {0: [500, 3, 77]})
        assert chosen[:3] == [500, 3, 77]
        assert {999, 998, 990} <= set(chosen)
        assert max(np.diff(sorted(chosen))) < 80

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        st.lists(st.tuples(st.integers(-1, 4), st.floats(0, 1) | st.just(float("nan"))), max_size=60),
        st.integers(0, 80),
    )
    def test_never_more_than_asked_and_none_twice(self, rows: list[tuple[int, float]], most: int) -> None:
        chosen = choose(rows, most)
        assert len(chosen) == len(set(chosen)) == min(most, len(rows))


def metrics(**values: Any) -> dict[str, Any]:
    return {
        "images": 1234,
        "clusters": 7,
        "method": "hdbscan",
        "reduction": "PCA to 10 dimensions",
        "options": {"seed": 3, "k": None},
        "silhouette": None,
    } | values


class TestOverview:
    def test_what_was_clustered_and_how(self) -> None:
        assert overview(metrics(), {"encoder": {"name": "photos"}}, 34) == (
            (
                "The encoder photos turned 1,234 images into vectors; HDBSCAN after PCA to 10 dimensions found 7 "
                "clusters of them."
            ),
            "34 images (3%) in no cluster: noise, like no group of others.",
        )

    def test_one_of_each(self) -> None:
        told = metrics(images=1, clusters=1, method="kmeans", reduction="none", options={"seed": 3, "k": 1})
        assert overview(told, {}, 0) == ("The encoder ? turned 1 image into vectors; k-means made 1 cluster of them.",)
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
    def test_how_well_comes_first(self, silhouette: float, words: str) -> None:
        sentence = overview(metrics(silhouette=silhouette), {}, 0)[0]
        assert sentence.startswith("Mean silhouette ")
        assert words in sentence

    def test_a_sentence_of_the_clustering_itself_is_taken(self) -> None:
        assert quality(metrics(silhouette=0.4, quality="Sure of most.")) == "Sure of most."
        assert quality(metrics()) == ""

    def test_scores(self) -> None:
        scores = {"labels": "folders", "accuracy": 0.6, "nmi": 0.51239, "ari": -0.1, "purity": 1.0}
        assert overview(metrics(scores=scores), {}, 0)[-1] == (
            "Against the labels (folders): accuracy 0.600, NMI 0.512, ARI -0.100, purity 1.000."
        )


def test_facts_name_the_options_that_were_given() -> None:
    options = {"k": 7, "seed": 3, "assign_noise": True, "reduce": "auto", "place": "copy"}
    told = dict(facts(metrics(options=options, parameters={"starts": 8, "inertia": 1.23456}), {}, "PCA"))
    assert told["Options"] == "--k 7 --assign-noise"
    assert told["Parameters"] == "starts 8, inertia 1.235"
    assert told["Map"] == "PCA"
    assert dict(facts(metrics(), {}, "PCA"))["Options"] == "the defaults"
