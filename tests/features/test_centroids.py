"""Rows by label: against comparing all labels with each number."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.features.centroids import rows_by_label


@settings(derandomize=True)
@given(st.lists(st.integers(-2, 5), max_size=40), st.integers(0, 3))
def test_rows_by_label(labels: list[int], more: int) -> None:
    numbers = np.array(labels, dtype=np.int64)
    count = max(labels, default=-1) + 1 + more if max(labels, default=-1) >= 0 else more
    rows = rows_by_label(numbers, count)
    assert [each.tolist() for each in rows] == [np.flatnonzero(numbers == label).tolist() for label in range(count)]
