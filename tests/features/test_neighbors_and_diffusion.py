"""The neighbour graph: exact neighbours, symmetric weights, and a space in which a walk's parts lie apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering.kmeans import divide
from imgcluster.features import diffusion, neighbors
from imgcluster.features.diffusion import diffusion_map
from imgcluster.features.neighbors import count_pieces, nearest, neighbour_graph, shown_graph, walk_graph
from vectors import blobs, output_with_threads, same_partition, scattered


def all_distances(vectors: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.linalg.norm(of[:, None].astype(np.float64) - vectors[None].astype(np.float64), axis=2)


def moons(each: int) -> tuple[np.ndarray, np.ndarray]:
    angle = np.linspace(0, np.pi, each)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.4 - np.sin(angle)], axis=1)
    points = np.concatenate([upper, lower]) + 0.04 * np.random.default_rng(0).normal(size=(2 * each, 2))
    return points.astype(np.float32), np.repeat([0, 1], each)


def rings(each: int) -> tuple[np.ndarray, np.ndarray]:
    angle = np.linspace(0, 2 * np.pi, each, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.concatenate([circle, 2.5 * circle]) + 0.05 * np.random.default_rng(0).normal(size=(2 * each, 2))
    return points.astype(np.float32), np.repeat([0, 1], each)


class TestNearest:
    # Trees up to 20 dimensions, comparisons of all pairs above.
    @pytest.mark.parametrize("dimensions", [1, 5, 20, 21, 64])
    def test_as_comparing_all_pairs(self, dimensions: int) -> None:
        vectors = scattered(150, dimensions)
        distances, indices = nearest(vectors, 7)
        apart = all_distances(vectors, vectors)
        np.fill_diagonal(apart, np.inf)
        assert (distances.dtype, indices.dtype) == (np.float64, np.int64)
        assert np.array_equal(indices, np.argsort(apart, axis=1)[:, :7])
        assert distances == pytest.approx(np.sort(apart, axis=1)[:, :7], rel=1e-4)

    @pytest.mark.parametrize("dimensions", [3, 40])
    def test_of_others(self, dimensions: int) -> None:
        vectors, others = scattered(60, dimensions), scattered(25, dimensions, seed=1)
        distances, indices = nearest(vectors, 60, of=others)
        apart = all_distances(vectors, others)
        assert np.array_equal(indices[:, :5], np.argsort(apart, axis=1)[:, :5])
        assert distances == pytest.approx(np.sort(apart, axis=1), rel=1e-4)
        assert np.array_equal(np.sort(indices, axis=1), np.tile(np.arange(60), (25, 1)))

    @pytest.mark.parametrize("dimensions", [3, 40])
    def test_part_by_part_is_as_all_at_once(self, dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors = scattered(101, dimensions)
        whole = nearest(vectors, 4)
        monkeypatch.setattr(neighbors, "_ROWS_AT_ONCE", 10)
        parts = nearest(vectors, 4)
        assert np.array_equal(parts[1], whole[1])
        assert parts[0] == pytest.approx(whole[0])

    @pytest.mark.parametrize("dimensions", [3, 40])
    def test_no_copy_is_its_own_neighbour(self, dimensions: int) -> None:
        distances, indices = nearest(np.ones((50, dimensions), np.float32), 5)
        assert not np.any(indices == np.arange(50)[:, None])
        assert np.all(distances == 0)
        assert indices.shape == (50, 5)

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.integers(2, 30), st.integers(1, 25), st.integers(0, 50), st.integers(1, 5))
    def test_any_vectors_with_copies(self, count: int, dimensions: int, seed: int, values: int) -> None:
        vectors = np.random.default_rng(seed).integers(values, size=(count, dimensions)).astype(np.float32)
        wanted = max(1, (count - 1) // 2)
        distances, indices = nearest(vectors, wanted)
        apart = all_distances(vectors, vectors)
        assert distances == pytest.approx(np.take_along_axis(apart, indices, axis=1), abs=1e-3)
        np.fill_diagonal(apart, np.inf)
        assert distances == pytest.approx(np.sort(apart, axis=1)[:, :wanted], abs=1e-3)
        assert all(len(set(row)) == wanted for row in indices.tolist())

    def test_one_thread_and_more_give_the_same_bytes(self) -> None:
        program = (
            "import hashlib, numpy as np\n"
            "from imgcluster.features.diffusion import diffusion_map\n"
            "from imgcluster.features.neighbors import nearest, neighbour_graph\n"
            "for dimensions in (4, 200):\n"
            "    points = np.random.default_rng(0).normal(size=(900, dimensions)).astype(np.float32)\n"
            "    graph = neighbour_graph(points)\n"
            "    for values in (*nearest(points, 9), graph.data, graph.indices, diffusion_map(graph)):\n"
            "        print(hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest())\n"
        )
        assert output_with_threads(program, 1) == output_with_threads(program, 2) == output_with_threads(program, 5)


class TestNeighbourGraph:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(3, 60), st.integers(1, 8), st.integers(0, 99), st.sampled_from([1e-6, 1, 1e6]))
    def test_weights_are_symmetric_and_between_0_and_1(self, count: int, width: int, seed: int, scale: float) -> None:
        graph = neighbour_graph((scattered(count, width, seed=seed) * scale).astype(np.float32))
        assert graph.shape == (count, count)
        assert graph.diagonal().tolist() == [0] * count
        assert np.all((graph.data > 0) & (graph.data <= 1))
        assert abs(graph - graph.T).max() == pytest.approx(0, abs=1e-12)
        # To the nearest neighbour.
        assert graph.max(axis=1).toarray().ravel() == pytest.approx(np.ones(count))

    def test_before_it_is_made_symmetric_each_has_as_many_neighbours_in_effect(self) -> None:
        # Around a point in the middle of a ring of its neighbours, all weights are 1 whatever the width.
        vectors = scattered(200, 3)
        distances, _ = nearest(vectors, 14)
        graph = neighbour_graph(vectors)
        # √200 neighbours; a vector's own weights add up to log2(14), and others' come on top.
        assert np.asarray(graph.sum(axis=1)).min() >= np.log2(distances.shape[1]) - 1e-6

    @pytest.mark.parametrize(("count", "expected"), [(9, 5), (100, 10), (2500, 30)])
    def test_the_number_of_neighbours_grows_from_5_to_30(self, count: int, expected: int) -> None:
        graph = neighbour_graph(scattered(count, 3))
        near = np.diff(graph.indptr)
        # Far neighbours' weights may be too small to be seen, and others add theirs.
        assert expected <= np.median(near) <= 2 * expected
        assert np.array_equal(neighbour_graph(scattered(count, 3), expected).toarray(), graph.toarray())

    @pytest.mark.parametrize(("count", "expected"), [(9, 5), (100, 5), (900, 15), (3600, 30), (4900, 30)])
    def test_a_graph_to_walk_on_has_half_as_many_but_no_fewer_than_5(self, count: int, expected: int) -> None:
        vectors = scattered(count, 3)
        assert (walk_graph(vectors) != neighbour_graph(vectors, expected)).nnz == 0

    def test_what_shows_the_clusters_of_many_is_several_graphs_beside_each_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vectors = scattered(1000, 3)
        monkeypatch.setattr("imgcluster.features.neighbors._SHOWN", 300)
        graph, rows = shown_graph(vectors)
        assert graph.shape == (900, 900)
        assert len(set(rows.tolist())) == 900
        for part in (slice(0, 300), slice(300, 600), slice(600, 900)):
            assert (graph[part, part] != neighbour_graph(vectors[rows[part]])).nnz == 0
            assert graph[part].nnz == graph[part, part].nnz
            # Each part is spread over all.
            assert rows[part].min() < 10
            assert rows[part].max() >= 990

    def test_far_groups_are_pieces(self) -> None:
        vectors, _ = blobs([40] * 4, spread=0.1)
        assert count_pieces(neighbour_graph(vectors)) == 4
        assert count_pieces(neighbour_graph(scattered(100))) == 1


class TestDiffusionMap:
    @pytest.mark.parametrize("dense", [True, False])
    @pytest.mark.parametrize("shape", [moons, rings], ids=["moons", "rings"])
    def test_winding_shapes_come_apart(self, shape: object, dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(diffusion, "_DENSE_UP_TO", 400 if dense else 100)
        points, truth = shape(120)  # type: ignore[operator]
        assert not same_partition(divide(points, 2, seed=0, starts=8)[0], truth)
        walked = diffusion_map(neighbour_graph(points))
        assert same_partition(divide(walked, 2, seed=0, starts=8)[0], truth)

    @pytest.mark.parametrize("each", [15, 200])
    def test_parts_that_nothing_connects_are_at_right_angles(self, each: int) -> None:
        vectors, truth = blobs([each] * 4, spread=0.1)
        graph = neighbour_graph(vectors)
        assert count_pieces(graph) == 4
        walked = diffusion_map(graph)
        likeness = (walked @ walked.T).astype(np.float64)
        assert np.abs(likeness[truth[:, None] != truth[None]]).max() < 0.02
        assert same_partition(divide(walked, 4, seed=0, starts=8)[0], truth)
        assert walked.shape[1] == 20 + 3

    @pytest.mark.parametrize("count", [3, 4, 10, 19, 20, 21, 22, 399, 400, 401, 450])
    def test_rows_have_length_1_and_at_most_20_dimensions(self, count: int) -> None:
        walked = diffusion_map(neighbour_graph(scattered(count)))
        assert walked.dtype == np.float32
        assert walked.shape == (count, min(count, 20))
        assert np.linalg.norm(walked, axis=1) == pytest.approx(np.ones(count), abs=1e-5)

    @pytest.mark.parametrize("count", [200, 600])
    def test_twice_the_same_bytes(self, count: int) -> None:
        first, second = (diffusion_map(neighbour_graph(scattered(count))) for _ in range(2))
        assert first.tobytes() == second.tobytes()

    def test_both_ways_to_find_eigenvectors_give_the_same_distances(self, monkeypatch: pytest.MonkeyPatch) -> None:
        graph = neighbour_graph(scattered(300, 4))
        dense = diffusion_map(graph)
        monkeypatch.setattr(diffusion, "_DENSE_UP_TO", 100)
        sparse = diffusion_map(graph)
        assert (dense @ dense.T) == pytest.approx(sparse @ sparse.T, abs=0.02)

    def test_the_walk_is_that_of_the_transition_matrix(self) -> None:
        graph = neighbour_graph(scattered(18))
        weights = graph.toarray()
        degrees = weights.sum(axis=1)
        # All directions are kept: likeness is that of 16 steps of the symmetric walk, but that steps of a negative
        # eigenvalue are left out, rows brought to length 1.
        values, vectors = np.linalg.eigh(weights / np.sqrt(np.outer(degrees, degrees)))
        likeness = (vectors * np.clip(values, 0, None) ** 16) @ vectors.T
        size = np.sqrt(np.diag(likeness))
        walked = diffusion_map(graph)
        assert walked @ walked.T == pytest.approx(likeness / np.outer(size, size), abs=1e-4)
