"""Margins: against a slow and obvious implementation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering.margins import margins
from vectors import peak_bytes, scattered


def naive(vectors: np.ndarray, labels: np.ndarray) -> tuple[list[float], list[int]]:
    count = labels.max() + 1
    centres = [vectors[labels == number].astype(np.float64).mean(axis=0) for number in range(count)]
    confidence, second = [], []
    for vector, own in zip(vectors.astype(np.float64), labels.tolist(), strict=True):
        others = {number: float(np.linalg.norm(vector - centres[number])) for number in range(count) if number != own}
        nearest = min(others, key=lambda number: others[number], default=-1)
        second.append(nearest)
        if own < 0:
            confidence.append(0.0)
        elif nearest < 0:
            confidence.append(1.0)
        else:
            distance = float(np.linalg.norm(vector - centres[own]))
            confidence.append(max(0.0, 1 - distance / others[nearest]) if others[nearest] else 0.0)
    return confidence, second


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.integers(-1, 4), min_size=1, max_size=50), st.integers(0, 99), st.integers(1, 6))
def test_as_the_definition_says(labels: list[int], seed: int, dimensions: int) -> None:
    numbers = np.unique([-1, *labels], return_inverse=True)[1][1:] - 1
    if numbers.max() < 0:
        numbers[0] = 0
    vectors = scattered(len(labels), dimensions, seed=seed)
    confidence, runner_up = margins(vectors, numbers.astype(np.int64))
    expected, second = naive(vectors, numbers)
    assert confidence.dtype == np.float32
    assert runner_up.dtype == np.int64
    assert confidence == pytest.approx(np.array(expected), abs=1e-4)
    assert runner_up.tolist() == second


def test_part_by_part_is_as_all_at_once() -> None:
    vectors, labels = scattered(100), np.arange(100) % 5 - 1
    whole = margins(vectors, labels)
    parts = margins(np.tile(vectors, (200, 1)), np.tile(labels, 200))
    assert parts[0] == pytest.approx(np.tile(whole[0], 200), abs=1e-6)
    assert np.array_equal(parts[1], np.tile(whole[1], 200))


def test_the_distances_to_many_clusters_do_not_fill_the_memory() -> None:
    vectors, labels = scattered(8192), np.arange(8192) % 8000
    # All of them are 524 MB.
    assert peak_bytes(lambda: margins(vectors, labels)) < 300_000_000


def test_noise_only_and_no_images() -> None:
    confidence, runner_up = margins(scattered(3), np.full(3, -1))
    assert (confidence.tolist(), runner_up.tolist()) == ([0, 0, 0], [-1, -1, -1])
    confidence, runner_up = margins(scattered(0), np.empty(0, np.int64))
    assert (len(confidence), len(runner_up)) == (0, 0)


def test_clusters_at_one_place_are_not_told_apart() -> None:
    confidence, _ = margins(np.ones((6, 3), np.float32), np.array([0, 0, 0, 1, 1, 1]))
    assert confidence.tolist() == [0] * 6


def test_far_from_the_origin_the_distances_are_still_those() -> None:
    vectors = (scattered(40) + 1000).astype(np.float32)
    labels = np.arange(40) % 3
    assert margins(vectors, labels)[0] == pytest.approx(np.array(naive(vectors, labels)[0]), abs=1e-3)
