"""Confidence intervals: they contain their score, and the mean score of other samples as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.interval_coverage import confused, coverage
from imgcluster.evaluation.external import Scores, intervals, score

MEASURES = ("accuracy", "nmi", "ari")


def by_chance(labels: int, clusters: int, images: int, *, seed: int = 0) -> Scores:
    generator = np.random.default_rng(seed)
    names = [str(number) for number in generator.integers(labels, size=images)]
    return score(generator.integers(clusters, size=images), names)


def assert_contained(scores: Scores) -> None:
    found = intervals(scores)
    for name in MEASURES:
        low, high = getattr(found, name)
        assert low <= getattr(scores, name) <= high, name
        assert -0.5 <= low <= high <= 1


@pytest.mark.parametrize(("labels", "clusters", "images"), [(50, 40, 500), (10, 10, 60), (100, 60, 900), (2, 2, 8)])
def test_clusters_by_chance_have_intervals_with_their_scores(labels: int, clusters: int, images: int) -> None:
    # Bootstrap samples agree better than the images, so reflected percentiles lay below the score.
    assert_contained(by_chance(labels, clusters, images))


@pytest.mark.slow
@settings(max_examples=30, derandomize=True)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_every_interval_contains_its_score(images: list[tuple[int, int]]) -> None:
    assert_contained(score(np.array([cluster for cluster, _ in images]), [str(label) for _, label in images]))


@pytest.mark.parametrize("images", [20, 200, 2000])
def test_a_perfect_score_is_not_certain(images: int) -> None:
    labels = np.arange(images) % 4
    found = intervals(score(labels, [str(label) for label in labels]))
    for name in MEASURES:
        low, high = getattr(found, name)
        assert high == 1
        # By the rule of three, up to 3 / n of the images may be misplaced.
        assert 1 - 20 / images < low < 1 - 1 / images


def test_more_images_have_narrower_intervals() -> None:
    generator = np.random.default_rng(0)
    widths = []
    for images in (100, 1000, 10_000):
        labels = generator.integers(5, size=images)
        clusters = np.where(generator.random(images) < 0.7, labels, generator.integers(5, size=images))
        low, high = intervals(score(clusters, [str(label) for label in labels])).accuracy
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]
    # Those of a binomial proportion, but for the matching.
    assert widths[2] == pytest.approx(2 * 1.96 * np.sqrt(0.76 * 0.24 / 10_000), rel=0.1)


def test_the_same_scores_have_the_same_intervals() -> None:
    assert intervals(by_chance(5, 5, 80)) == intervals(by_chance(5, 5, 80))


@pytest.mark.slow
@pytest.mark.parametrize(("accuracy", "images"), [(0.95, 60), (0.6, 400), (0.1, 400)])
def test_they_cover_the_mean_score_of_other_samples(accuracy: float, images: int) -> None:
    _, covered, excluded = coverage(confused(10, accuracy), images, samples=150, for_means=600)
    assert min(covered) > 0.88
    assert max(excluded) == 0
