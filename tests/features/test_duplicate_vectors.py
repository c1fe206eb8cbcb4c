"""Equal vectors: counted as NumPy counts them, and no further than asked."""

from __future__ import annotations

import numpy as np
import pytest

from imgcluster.features.duplicate_vectors import count_distinct, find_duplicates


def vectors() -> np.ndarray:
    generator = np.random.default_rng(0)
    different = generator.normal(size=(30, 5)).astype(np.float32)
    different[7] = -0.0
    different[8] = 0.0
    return different[generator.integers(0, 30, 200)]


@pytest.mark.parametrize(
    "given",
    [
        vectors(),
        vectors()[::-1],
        np.zeros((4, 3), np.float32),
        np.array([[0.0], [-0.0], [1e-45]], np.float32),
        np.zeros((1, 2), np.float32),
        np.zeros((0, 2), np.float32),
    ],
    ids=["many", "a view", "the same", "zeros of both signs", "one", "none"],
)
def test_they_are_counted_as_numpy_counts_them(given: np.ndarray) -> None:
    expected = len(np.unique(given, axis=0))
    for enough in (0, 1, expected, expected + 1, len(given) + 1):
        assert count_distinct(given, enough) == min(enough, expected)
    first, copies = find_duplicates(given)
    assert len(first) == expected
    assert (given[first][copies] == given).all()
    assert all((given[:index] != given[index]).any(axis=1).all() for index in first)
    assert (np.diff(first) > 0).all()


def test_there_is_no_looking_past_enough() -> None:
    class Watched(np.ndarray):
        seen = 0

        def __iter__(self):
            for row in np.asarray(self):
                Watched.seen += 1
                yield row

    assert count_distinct(np.arange(100, dtype=np.float32).reshape(50, 2).view(Watched), 3) == 3
    assert 0 < Watched.seen <= 4
