"""The minimum spanning tree, beside that of all distances."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.csgraph import minimum_spanning_tree as shortest_tree
from scipy.spatial.distance import cdist

from imgcluster.clustering.spanning_tree import minimum_spanning_tree
from imgcluster.types import Vectors

Floats = npt.NDArray[np.float64]


def reachability(vectors: Vectors, min_samples: int) -> Floats:
    distances = cdist(vectors.astype(np.float64), vectors.astype(np.float64))
    core = np.sort(distances, axis=1)[:, min(min_samples, len(vectors) - 1)]
    return np.asarray(np.maximum(np.maximum(distances, core[:, None]), core))


def lengths(vectors: Vectors, min_samples: int) -> Floats:
    # A length of 0 would be no edge.
    tree = shortest_tree(csr_matrix(np.triu(reachability(vectors, min_samples) + 1, 1)))
    return np.sort(tree.data) - 1


def check(vectors: Vectors, min_samples: int) -> None:
    tree = minimum_spanning_tree(vectors, min_samples)
    ends = tree[:, :2].astype(np.int64)
    graph = csr_matrix((np.ones(len(tree)), tuple(ends.T)), shape=(len(vectors), len(vectors)))
    assert len(tree) == len(vectors) - 1
    assert connected_components(graph, directed=False)[0] == 1
    np.testing.assert_allclose(tree[:, 2], reachability(vectors, min_samples)[tuple(ends.T)], rtol=1e-12, atol=1e-12)
    assert (np.diff(tree[:, 2]) >= 0).all()
    assert (tree[:, 2] <= 1.01 * lengths(vectors, min_samples) + 1e-9).all()


@given(
    groups=st.integers(1, 12),
    size=st.integers(2, 40),
    dimensions=st.integers(1, 4),
    spread=st.sampled_from([0.0, 1e-3, 0.1, 1.0]),
    samples=st.sampled_from([1, 2, 5, 30, 100]),
    seed=st.integers(0, 1000),
)
@example(groups=8, size=35, dimensions=1, spread=1e-3, samples=1, seed=328)
def test_the_edges_are_hardly_longer_than_in_the_shortest_tree(
    groups: int, size: int, dimensions: int, spread: float, samples: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    centers = generator.normal(size=(groups, 1, dimensions))
    vectors = centers + spread * generator.normal(size=(groups, size, dimensions))
    check(vectors.reshape(-1, dimensions).astype(np.float32), samples)


@pytest.mark.parametrize("size", [100, 400])
@pytest.mark.parametrize("spread", [1e-3, 0.5])
def test_large_groups(size: int, spread: float) -> None:
    """Groups of more than 256 vectors are searched otherwise."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(5, 1, 3)) + spread * generator.normal(size=(5, size, 3))
    check(vectors.reshape(-1, 3).astype(np.float32), 2)


def test_equal_vectors_and_the_smallest_set() -> None:
    check(np.zeros((50, 3), np.float32), 1)
    check(np.array([[0.0], [1.0]], np.float32), 5)
