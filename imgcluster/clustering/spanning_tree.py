"""The minimum spanning tree of vectors by mutual reachability distance, from which HDBSCAN's hierarchy is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from imgcluster.types import Labels, Vectors

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

__all__ = ["minimum_spanning_tree"]

_Floats = npt.NDArray[np.float64]
_Indices = npt.NDArray[np.int64]

# The least and the most neighbors that are listed. With fewer, more components must be searched one by one; more take
# longer to find, and memory.
_NEIGHBORS: Final = (16, 64)
# Neighbors outside of a component of at most this size are found among its neighbors in all vectors, those of a larger
# one in a tree of all others.
_SMALL: Final = 256
_ROWS_AT_ONCE: Final = 4096
# An edge may be 1 % longer than the shortest one. Then it is enough to search one of a group of near-duplicates.
_TOLERANCE: Final = 1.01


def minimum_spanning_tree(vectors: Vectors, min_samples: int) -> _Floats:
    """Return the edges of a spanning tree that is at most 1 % longer than the minimum one.

    The mutual reachability distance of two vectors is the largest of their distance and their core distances, which are
    those to the `min_samples`-th nearest other vector (Campello, Moulavi & Sander 2013). Borůvka's algorithm (1926)
    joins every component to its nearest one, in rounds. A few nearest neighbors of every vector mostly tell which one
    that is; components are searched only where none can be joined that way.

    Args:
        vectors: ``float32 (n, d)``, at least two.
        min_samples: At least 1; n − 1 if it is more than that.

    Returns:
        ``float64 (n − 1, 3)``: two indices and their distance, by ascending distance. Each is at most 1 % longer
        than the one of the same rank in the minimum tree.
    """
    from scipy.spatial import cKDTree

    # Near vectors then lie near each other in memory: 200,000 take a third of the time.
    points = vectors.astype(np.float64)
    order = cKDTree(points).indices
    neighbors = _Neighbors(points[order], min_samples)
    labels = np.arange(len(vectors))
    tree_edges = []
    while (count := int(labels.max()) + 1) > 1:
        edges, certain = neighbors.nearest_outside(labels, count)
        if certain.any():
            edges = edges[certain]
        else:
            largest = int(np.bincount(labels).argmax())
            edges = np.delete(neighbors.search_outside(labels, edges, largest), largest, axis=0)
        tree_edges.append(edges)
        labels = _joined(labels, count, edges)
    tree = _tree_of(np.concatenate(tree_edges), len(vectors))
    tree[:, :2] = order[tree[:, :2].astype(np.int64)]
    return tree


class _Neighbors:
    """The nearest neighbors of ``float64 (n, d)`` points, by mutual reachability distance."""

    def __init__(self, points: _Floats, min_samples: int) -> None:
        from scipy.spatial import cKDTree

        self._points = points
        self._tree = cKDTree(points)
        samples = min(min_samples, len(points) - 1)
        count = min(int(np.clip(2 * samples, *_NEIGHBORS)) + 1, len(points))
        # One of them is the point itself.
        distances, self._indices = self._tree.query(points, count, workers=-1)
        if samples < count:
            self._core = distances[:, samples].copy()
        else:
            self._core = self._tree.query(points, [samples + 1], workers=-1)[0][:, 0]
        self._reach = self._reachability(distances, np.arange(len(points)), self._indices)
        # What is outside of a vector's component, and not among these neighbors, is at least as far.
        complete = count == len(points)
        self._radius = np.full(count, np.inf) if complete else np.maximum(distances[:, -1], self._core)
        self._leaders = np.empty(0, np.int64)
        self._apart = np.empty(0)

    def nearest_outside(self, labels: Labels, count: int) -> tuple[_Floats, npt.NDArray[np.bool_]]:
        """Return the shortest edge from each component to another, and whether no shorter one is possible.

        An edge is two indices and a distance. A component whose neighbors all belong to it has the distance infinity.
        """
        rows = np.arange(len(labels))
        reach = np.where(labels[self._indices] != labels[:, None], self._reach, np.inf)
        edges = _shortest(np.full((count, 3), np.inf), labels, rows, self._indices, reach)
        radius = np.full(count, np.inf)
        np.minimum.at(radius, labels, self._radius)
        return edges, edges[:, 2] <= radius

    def search_outside(self, labels: Labels, edges: _Floats, largest: int) -> _Floats:
        """Return the shortest edges from all components but the largest, given some that may be longer."""
        from scipy.spatial import cKDTree

        if not len(self._leaders):
            # The first member of each vector's component now, and its distance.
            _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
            self._leaders = first[inverse]
            self._apart = np.sqrt(((self._points - self._points[self._leaders]) ** 2).sum(axis=1))
        sizes = np.bincount(labels)
        small = np.flatnonzero((sizes <= _SMALL) & (np.arange(len(sizes)) != largest))
        everything = np.arange(len(labels))
        enough = 2 * int(sizes[small].max(initial=0))
        edges = self._search(labels, edges, small, self._tree, everything, enough)
        for component in np.flatnonzero(sizes > _SMALL):
            if component != largest:
                outside = np.flatnonzero(labels != component)
                tree = cKDTree(self._points[outside])
                edges = self._search(labels, edges, np.array([component]), tree, outside, 1)
        return edges

    def _search(
        self, labels: Labels, edges: _Floats, components: _Indices, tree: cKDTree, candidates: _Indices, count: int
    ) -> _Floats:
        """Return the shortest edges from some components to candidates, and those given from the others."""
        if not len(components):
            return edges
        members = np.flatnonzero(np.isin(labels, components))
        leaders = self._leaders[members]
        edges, _ = self._improve(labels, edges, np.unique(leaders), tree, candidates, count)
        # To the same vector, two members are equally far but for their own distance; so are their core distances.
        self._radius[members] = np.maximum(self._radius[members], self._radius[leaders] - self._apart[members])
        bounds = edges[labels[members], 2]
        needed = _TOLERANCE * self._radius[members] < bounds
        members = members[needed][np.argsort(bounds[needed], kind="stable")]
        for start in range(0, len(members), _ROWS_AT_ONCE):
            rows, width = members[start : start + _ROWS_AT_ONCE], count
            while len(rows):
                edges, rows = self._improve(labels, edges, rows, tree, candidates, width)
                width *= 2
        return edges

    def _improve(
        self, labels: Labels, edges: _Floats, rows: _Indices, tree: cKDTree, candidates: _Indices, count: int
    ) -> tuple[_Floats, _Indices]:
        """Return the edges after some rows were compared with so many candidates, and the rows that need more."""
        count = min(count, tree.n)
        bound = np.nextafter(edges[labels[rows], 2].max(), np.inf)
        distances, neighbors = tree.query(
            self._points[rows], np.arange(1, count + 1), distance_upper_bound=bound, workers=-1
        )
        # What is farther than the bound has the index n and the distance infinity.
        indices = candidates[np.minimum(neighbors, tree.n - 1)]
        reach = self._reachability(distances, rows, indices)
        reach[labels[indices] == labels[rows, None]] = np.inf
        edges = _shortest(edges, labels, rows, indices, reach)
        seen = np.minimum(distances[:, -1], bound)
        self._radius[rows] = np.maximum(self._radius[rows], np.minimum(reach.min(axis=1), seen))
        return edges, rows[(seen < edges[labels[rows], 2]) & (count < tree.n)]

    def _reachability(self, distances: _Floats, rows: _Indices, indices: _Indices) -> _Floats:
        return np.asarray(np.maximum(np.maximum(distances, self._core[rows, None]), self._core[indices]))


def _shortest(edges: _Floats, labels: Labels, rows: _Indices, indices: _Indices, reach: _Floats) -> _Floats:
    """Return the edges of components, each replaced by a shorter one from some rows to indices outside of it.

    Inside of it, `reach` is infinity.
    """
    column = reach.argmin(axis=1)
    nearest = reach[np.arange(len(rows)), column]
    order = np.lexsort((nearest, labels[rows]))
    components, first = np.unique(labels[rows[order]], return_index=True)
    best = order[first]
    shorter = nearest[best] < edges[components, 2]
    best = best[shorter]
    edges = edges.copy()
    edges[components[shorter]] = np.column_stack([rows[best], indices[best, column[best]], nearest[best]])
    return edges


def _joined(labels: Labels, count: int, edges: _Floats) -> Labels:
    """Return the components after some are joined, numbered from 0."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    first, second = labels[edges[:, :2].astype(np.int64)].T
    graph = csr_matrix((np.ones(len(edges)), (first, second)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1][labels], dtype=np.int64)


def _tree_of(edges: _Floats, count: int) -> _Floats:
    """Return the edges of a tree from those of all rounds, of which equally long ones may make cycles."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import minimum_spanning_tree

    ends = np.sort(edges[:, :2], axis=1).astype(np.int64)
    _, different = np.unique(ends, axis=0, return_index=True)
    edges, ends = edges[different], ends[different]
    order = np.argsort(edges[:, 2], kind="stable")
    # A rank is never 0, which would be no edge, and no two are equal.
    ranks = csr_matrix((np.arange(1, len(order) + 1), tuple(ends[order].T)), shape=(count, count))
    tree = minimum_spanning_tree(ranks).data.astype(np.int64)
    return np.asarray(edges[order][np.sort(tree) - 1])
