"""Numbers of clusters: by size, then by the first image; runners-up go along."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.clustering.numbering import number_by_size
from imgcluster.clustering.types import Layer


def numbered(labels: list[int], runner_up: list[int] | None = None) -> Layer:
    second = runner_up or [-1] * len(labels)
    return number_by_size(
        Layer(np.array(labels, np.int64), np.ones(len(labels), np.float32), np.array(second, np.int64))
    )


def test_the_largest_is_0() -> None:
    layer = numbered([0, 1, 1, 1, 2, 2, -1], [1, 2, 0, -1, 0, 1, 2])
    assert layer.labels.tolist() == [2, 0, 0, 0, 1, 1, -1]
    assert layer.runner_up.tolist() == [0, 1, 2, -1, 2, 0, 1]


def test_equal_sizes_go_by_their_first_image() -> None:
    assert numbered([3, 0, 3, 0, 5]).labels.tolist() == [0, 1, 0, 1, 2]


def test_nothing_but_noise_and_nothing() -> None:
    assert numbered([-1, -1]).labels.tolist() == [-1, -1]
    assert numbered([]).labels.tolist() == []


@given(st.lists(st.integers(-1, 9), max_size=60))
def test_the_partition_stays_and_the_sizes_fall(labels: list[int]) -> None:
    new = numbered(labels).labels.tolist()
    assert len(set(zip(labels, new, strict=True))) == len(set(labels)) == len(set(new))
    assert [number < 0 for number in new] == [number < 0 for number in labels]
    keys = [(-new.count(number), new.index(number)) for number in range(len(set(new) - {-1}))]
    assert keys == sorted(keys)
