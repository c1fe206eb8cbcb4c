"""What became of the clusters of the last clustering."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering.changes import ABSENT, compare_clusterings, count_moved


def changes(before: list[int], after: list[int], removed: dict[int, int] | None = None) -> dict[int, str]:
    found = compare_clusterings(np.array(before), np.array(after), removed or {})
    return {change.cluster: change.change for change in found}


def test_each_kind() -> None:
    assert changes([0, 0, 1, 1], [0, 0, 1, 1]) == {0: "kept", 1: "kept"}
    assert changes([0, 0, ABSENT], [0, 0, 0]) == {0: "grown"}
    assert changes([0, 0, 0, 0], [0, 0, 1, 1]) == {0: "split", 1: "new"}
    assert changes([0, 0, 0, 0], [5, 5, 6, 6]) == {0: "split", 5: "new", 6: "new"}
    assert changes([0, 0, 0, 1, 1], [0, 0, 0, 0, 0]) == {0: "merged", 1: "merged"}
    assert changes([0, 0, 1, 1], [7, 7, 7, 7]) == {0: "merged", 1: "merged", 7: "merged"}
    assert changes([0, 0, ABSENT], [0, 0, 3]) == {0: "kept", 3: "new"}
    assert changes([0, 0], [0, 0], {4: 3}) == {0: "kept", 4: "removed"}
    # Cluster 2 is scattered: no cluster consists mostly of its images, and none has most of them.
    assert changes([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 0, 1])[2] == "removed"


def test_numbers_of_one_cluster() -> None:
    before, after = np.array([0, 0, 0, 1, ABSENT, -1, 0]), np.array([0, 0, 1, 0, 0, 0, -1])
    first = compare_clusterings(before, after, {0: 2})[0]
    assert (first.size_before, first.size, first.stayed, first.new_images, first.removed_images) == (6, 5, 2, 1, 2)
    assert first.came_from == ((-1, 1), (1, 1))
    assert first.went_to == ((-1, 1), (1, 1))
    assert count_moved(before, after) == 4


@settings(max_examples=80, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(-2, 4), st.integers(-1, 4)), max_size=30),
    st.dictionaries(st.integers(0, 5), st.integers(1, 3), max_size=2),
)
def test_the_numbers_add_up(pairs: list[tuple[int, int]], removed: dict[int, int]) -> None:
    before, after = np.array([old for old, _ in pairs], np.int64), np.array([new for _, new in pairs], np.int64)
    found = compare_clusterings(before, after, removed)
    assert [change.cluster for change in found] == sorted({*before, *after, *removed} - {-1, ABSENT})
    for change in found:
        assert change.size == (after == change.cluster).sum()
        assert change.size_before == (before == change.cluster).sum() + removed.get(change.cluster, 0)
        assert change.size == change.stayed + change.new_images + sum(count for _, count in change.came_from)
        assert change.size_before == change.stayed + change.removed_images + sum(count for _, count in change.went_to)
        assert (change.size == 0) <= (change.change in ("split", "merged", "removed"))
        assert (change.size_before == 0) <= (change.change in ("merged", "new"))
