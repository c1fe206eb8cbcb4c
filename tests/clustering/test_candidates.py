"""Numbers of clusters side by side: blobs score best at their own number."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.clustering import candidates as counts
from imgcluster.clustering.candidates import score_candidates
from imgcluster.clustering.num_clusters import ClusterCount, estimate_num_clusters
from vectors import blobs, plain, scattered


def found(k: int, highest: int) -> ClusterCount:
    return ClusterCount(k, 1.5, {number: 1.0 + (number == k) / 2 for number in range(2, highest + 1)})


def test_blobs_score_best_at_their_own_number() -> None:
    vectors, _ = blobs([30] * 5, spread=0.5)
    candidates = score_candidates(vectors, estimate_num_clusters(plain(vectors), (2, 9), seed=0), seed=0)
    assert [candidate.k for candidate in candidates] == list(range(2, 10))
    best = max(candidates, key=lambda candidate: candidate.silhouette)
    assert (best.k, best.chosen, best.stability) == (5, True, 1.0)
    assert best.persistence == max(candidate.persistence for candidate in candidates)
    assert sum(candidate.chosen for candidate in candidates) == 1


def test_scores_lie_where_they_must() -> None:
    for candidate in score_candidates(scattered(200), found(3, 12), seed=0):
        assert -1 <= candidate.silhouette <= 1
        assert -0.5 <= candidate.stability <= 1
        assert candidate.persistence >= 1


def test_the_silhouette_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import silhouette_score

    vectors, truth = blobs([20, 30, 25], spread=0.5)
    (candidate,) = (one for one in score_candidates(vectors, found(3, 5), seed=0) if one.k == 3)
    assert candidate.silhouette == pytest.approx(float(silhouette_score(vectors, truth)), abs=1e-4)


@pytest.mark.parametrize("count", [4, 5, 6, 9])
def test_few_images_give_few_candidates(count: int) -> None:
    candidates = score_candidates(scattered(count), found(2, 30), seed=0)
    assert [candidate.k for candidate in candidates] == list(range(2, 2 + len(candidates)))
    assert candidates[-1].k < count


def test_copies_give_no_more_candidates_than_there_are_different_images() -> None:
    vectors = scattered(6)[np.arange(60) % 6]
    assert [candidate.k for candidate in score_candidates(vectors, found(3, 30), seed=0)] == [2, 3, 4, 5]


def test_a_sample_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = blobs([200] * 3, spread=0.5)
    monkeypatch.setattr(counts, "_SAMPLE", 60)
    candidates = score_candidates(vectors, found(3, 6), seed=0)
    assert max(candidates, key=lambda candidate: candidate.silhouette).k == 3
    assert candidates == score_candidates(vectors, found(3, 6), seed=0)
