"""Scores: against brute force, and where clusters and labels do not match in number."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.evaluation.external import score

pairs = st.lists(st.tuples(st.integers(-1, 3), st.sampled_from(["cat", "dog", "Ähre", "x,y"])), min_size=1, max_size=24)


def brute_force_accuracy(clusters: list[int], labels: list[str]) -> float:
    """Try every one-to-one matching of clusters and labels; the shorter side is filled up with nothing."""
    numbers: list[int | None] = [*sorted(set(clusters))]
    names: list[str | None] = [*sorted(set(labels))]
    longer = max(len(numbers), len(names))
    numbers += [None] * (longer - len(numbers))
    names += [None] * (longer - len(names))
    together = Counter(zip(clusters, labels, strict=True))
    best = max(
        sum(together[number, name] for number, name in zip(order, names, strict=True))  # type: ignore[index]
        for order in itertools.permutations(numbers)
    )
    return best / len(labels)


@settings(max_examples=150, derandomize=True)
@given(pairs)
def test_scores_agree_with_plain_counting(drawn: list[tuple[int, str]]) -> None:
    clusters, labels = [cluster for cluster, _ in drawn], [label for _, label in drawn]
    answer = score(np.array(clusters, np.int64), labels)
    assert answer.accuracy == pytest.approx(brute_force_accuracy(clusters, labels))
    by_cluster = [Counter(label for c, label in drawn if c == cluster) for cluster in set(clusters)]
    assert answer.purity == pytest.approx(sum(counts.most_common(1)[0][1] for counts in by_cluster) / len(drawn))
    assert answer.label_names == tuple(sorted(set(labels)))
    assert answer.clusters == tuple(sorted(set(clusters)))
    together = Counter(drawn)
    for row, name in enumerate(answer.label_names):
        for column, cluster in enumerate(answer.clusters):
            assert answer.confusion[row, column] == together[cluster, name]
    assert 0 <= answer.nmi <= 1 + 1e-9
    assert -0.5 - 1e-9 <= answer.ari <= 1 + 1e-9


def test_a_perfect_clustering_under_other_names() -> None:
    answer = score(np.array([2, 2, 0, 0, 1]), ["a", "a", "b", "b", "c"])
    assert (answer.accuracy, answer.purity) == (1.0, 1.0)
    assert answer.nmi == pytest.approx(1.0)
    assert answer.ari == pytest.approx(1.0)


def test_the_best_matching_is_not_the_greedy_one() -> None:
    # Greedy takes the 5 of cluster 0 and label a, and is left with 0; 4 + 4 is more.
    clusters = np.repeat([0, 0, 1], [5, 4, 4])
    labels = ["a"] * 5 + ["b"] * 4 + ["a"] * 4
    answer = score(clusters, labels)
    assert answer.accuracy == pytest.approx(8 / 13)
    assert answer.purity == pytest.approx(9 / 13)


def test_noise_is_a_cluster_of_its_own() -> None:
    answer = score(np.array([0, 0, -1, -1]), ["a", "a", "b", "b"])
    assert answer.clusters == (-1, 0)
    assert answer.accuracy == 1.0
    assert answer.confusion.tolist() == [[0, 2], [2, 0]]


def test_everything_noise() -> None:
    answer = score(np.full(4, -1), ["a", "a", "a", "b"])
    assert answer.accuracy == pytest.approx(0.75)
    assert answer.purity == pytest.approx(0.75)
    assert answer.nmi == pytest.approx(0.0)
    assert answer.ari == pytest.approx(0.0)


def test_more_clusters_than_labels() -> None:
    answer = score(np.arange(40), ["a"] * 20 + ["b"] * 20)
    assert answer.accuracy == pytest.approx(2 / 40)
    assert answer.purity == 1.0


def test_more_labels_than_clusters() -> None:
    answer = score(np.zeros(40, np.int64), [f"label {i:02}" for i in range(40)])
    assert answer.accuracy == pytest.approx(1 / 40)
    assert answer.purity == pytest.approx(1 / 40)


def test_every_image_a_cluster_and_a_label_of_its_own() -> None:
    assert score(np.arange(60), [str(i) for i in range(60)]).accuracy == 1.0


def test_one_image() -> None:
    answer = score(np.array([3]), ["only"])
    assert (answer.accuracy, answer.nmi, answer.ari, answer.purity) == (1.0, 1.0, 1.0, 1.0)


def test_known_values_of_ari_and_nmi() -> None:
    # Contingency [[2, 0], [1, 1]]: 1 pair together in both; 2 together by label, 3 by cluster, of 6 pairs; so
    # ARI = (1 - 2·3/6) / ((2 + 3)/2 - 2·3/6) = 0.
    answer = score(np.array([0, 0, 0, 1]), ["a", "a", "b", "b"])
    assert answer.ari == pytest.approx(0.0)
    # MI = ½·ln(4/3) + ¼·ln(2/3) + ¼·ln 2; entropies ln 2 and ¾·ln(4/3) + ¼·ln 4.
    information = 0.5 * np.log(4 / 3) + 0.25 * np.log(2 / 3) + 0.25 * np.log(2)
    mean_entropy = (np.log(2) + 0.75 * np.log(4 / 3) + 0.25 * np.log(4)) / 2
    assert answer.nmi == pytest.approx(information / mean_entropy)


def test_labels_are_kept_as_they_are() -> None:
    names = ["", " a", "a", "a,b", "日本", "line\nbreak"]
    assert score(np.arange(6), names).label_names == tuple(sorted(names))
