"""Calls in threads: in order, at once, and none left behind."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.errors import UsageError
from imgcluster.fileio.in_threads import in_order

QUICK = settings(derandomize=True, database=None, max_examples=50)


@QUICK
@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 8))
def test_any_number_of_workers_keeps_the_order(items: list[int], workers: int) -> None:
    def slow_first(item: int) -> int:
        time.sleep(item / 20_000)
        return item * item

    assert list(in_order(slow_first, items, workers)) == [(item, item * item) for item in items]


def test_several_are_worked_on_at_once() -> None:
    meeting = threading.Barrier(3, timeout=30)

    # Each call waits for two others: one thread alone would never get through.
    assert len(list(in_order(lambda item: meeting.wait(), range(9), workers=3))) == 9


def test_an_endless_list_is_not_read_to_its_end() -> None:
    taken = itertools.count()

    results = in_order(lambda item: item, taken, workers=2)
    first = list(itertools.islice(results, 5))
    results.close()  # type: ignore[attr-defined]

    assert first == [(item, item) for item in range(5)]
    assert next(taken) < 100


@pytest.mark.parametrize("workers", [1, 4])
def test_an_error_of_one_item_arrives_in_its_turn(workers: int) -> None:
    def fail_at_three(item: int) -> int:
        if item == 3:
            raise LookupError("item 3 went wrong")
        return item

    results = in_order(fail_at_three, range(50), workers)

    assert list(itertools.islice(results, 3)) == [(0, 0), (1, 1), (2, 2)]
    with pytest.raises(LookupError, match="item 3 went wrong"):
        next(results)


def test_no_thread_outlives_it() -> None:
    before = threading.active_count()

    results = in_order(lambda item: item, range(100), workers=4)
    next(results)
    results.close()  # type: ignore[attr-defined]

    # Threads end after what they are computing; nothing waits for them.
    latest = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < latest:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [0, -2])
def test_no_workers_are_refused(workers: int) -> None:
    with pytest.raises(UsageError, match=f"{workers} workers are not possible; at least 1 is needed"):
        list(in_order(str, [1], workers))
