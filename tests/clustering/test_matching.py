"""Numbers of clusters across clusterings, and images that stay where the user put them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering.matching import Decided, KnownMembers, match_numbers, settle

NOTHING = Decided(frozenset(), np.empty(0, np.int64), np.empty(0, np.int64))


def known(before: list[int], *earlier: list[int]) -> KnownMembers:
    """Return what is known after the clustering `before` and earlier ones; −1 is noise, −2 an image that is new."""
    numbers, rows = [], []
    for clusters in (before, *earlier):
        for row, number in enumerate(clusters):
            if number >= 0 and (clusters is before or number not in before):
                numbers.append(number)
                rows.append(row)
    present = np.array(before) != -2
    return KnownMembers(np.array(numbers, np.int64), np.array(rows, np.int64), present)


def numbers(after: list[int], before: KnownMembers, next_number: int = 10) -> list[int]:
    return match_numbers(np.array(after), before, next_number).tolist()


def test_a_first_clustering_keeps_its_numbers() -> None:
    nothing = KnownMembers(np.empty(0, np.int64), np.empty(0, np.int64), np.zeros(5, bool))
    assert match_numbers(np.array([0, 1, 1, 2, -1]), nothing, 0).tolist() == [0, 1, 2]


def test_a_cluster_continues_another_if_most_of_both_agree() -> None:
    assert numbers([0, 0, 0, 1, 1], known([7, 7, 7, 4, 4])) == [7, 4]
    assert numbers([0, 0, 1, 1, 1], known([7, 7, 7, 4, 4])) == [7, 4]
    # Half is not most.
    assert numbers([0, 0, 1, 1], known([3, 3, 3, 3])) == [10, 11]
    assert numbers([0, 0, 0, 0], known([3, 3, 4, 4])) == [10]


def test_images_of_one_clustering_only_do_not_count() -> None:
    assert numbers([0, 0, 0, 0, 0, 1], known([3, 3, -2, -2, -2, -2])) == [3, 10]
    assert numbers([0, 0, 1, 1], known([3, 3, -1, -1])) == [3, 10]


def test_a_cluster_whose_images_return_comes_back_but_replaces_no_other() -> None:
    assert numbers([0, 0, 1], known([3, 3, -2], [3, 3, 5])) == [3, 5]
    assert numbers([0] * 9, known([3] * 4 + [-2] * 5, [3] * 4 + [5] * 5)) == [3]


def test_an_earlier_cluster_comes_back() -> None:
    fine, coarse = [0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 0, 0, 0, 2, 2, 2]
    assert numbers([0, 0, 0, 1, 1, 2, 2, 2], known(coarse, fine)) == [0, 1, 2]


@settings(max_examples=80, derandomize=True)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-2, 4)), min_size=1, max_size=30))
def test_no_number_is_used_twice_or_for_something_else(pairs: list[tuple[int, int]]) -> None:
    _, after = np.unique([new for new, _ in pairs], return_inverse=True)
    after = after - (min(new for new, _ in pairs) == -1)
    before = np.array([old for _, old in pairs])
    given_numbers = match_numbers(after, known(before.tolist()), 100)
    assert len(set(given_numbers.tolist())) == len(given_numbers)
    for label, number in enumerate(given_numbers.tolist()):
        shared = ((after == label) & (before == number)).sum()
        if number < 100:
            assert 2 * shared > ((after == label) & (before != -2)).sum()
            assert 2 * shared > (before == number).sum()


class TestDecisions:
    def test_a_merged_cluster_stays_merged_and_grows(self) -> None:
        before = known([2, 2, 2, 2, 2, 2, 3, 3, -2])
        decided = Decided(frozenset({2}), np.empty(0, np.int64), np.empty(0, np.int64))
        settled = settle(np.array([0, 0, 0, 1, 1, 2, 2, 2, 1]), before, decided, 10)
        assert settled.clusters.tolist() == [2, 2, 2, 2, 2, 2, 3, 3, 2]

    def test_a_correction_stays_at_its_cluster_or_the_one_that_follows_it(self) -> None:
        before = known([0, 0, 0, 1, 1, 1, 2, 2, 2])
        decided = Decided(frozenset(), np.array([0]), np.array([1]))
        assert settle(np.array([0, 0, 0, 1, 1, 1, 2, 2, 2]), before, decided, 3).clusters.tolist()[0] == 1
        # Clusters 1 and 2 become one of another number.
        assert settle(np.array([0, 0, 0, 1, 1, 1, 1, 1, 1]), before, decided, 3).clusters.tolist() == [
            3,
            0,
            0,
            *[3] * 6,
        ]
        # Cluster 1 falls into pieces: the largest one.
        before = known([0, 0, 1, 1, 1, 1, 1, 1])
        pieces = settle(np.array([0, 0, 1, 1, 1, 2, 2, 3]), before, decided, 2)
        assert pieces.clusters.tolist() == [2, 0, 2, 2, 2, 3, 3, 4]

    def test_a_correction_to_a_cluster_without_a_counterpart_is_a_conflict(self) -> None:
        before = known([0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2])
        decided = Decided(frozenset(), np.array([0, 1]), np.array([1, 0]))
        settled = settle(np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]), before, decided, 3)
        assert settled.conflicts.tolist() == [0]
        assert settled.clusters.tolist() == [0] * 7 + [2] * 4

    def test_noise_stays_noise_and_new_clusters_stay_apart(self) -> None:
        before = known([0, 0, 0, 0, 5, 5, -1])
        decided = Decided(frozenset({5}), np.array([4, 6]), np.array([5, -1]))
        settled = settle(np.zeros(7, np.int64), before, decided, 6)
        assert settled.clusters.tolist() == [0, 0, 0, 0, 5, 5, -1]

    def test_without_decisions_nothing_changes(self) -> None:
        settled = settle(np.array([1, 0, -1, 1]), known([4, 5, 5, 4]), NOTHING, 6)
        assert settled.clusters.tolist() == [4, 6, -1, 4]
        assert settled.numbers.tolist() == [6, 4]
