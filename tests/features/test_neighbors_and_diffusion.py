"""Neighbors, graphs and diffusion maps: exact neighbors, symmetric weights, connected graphs, and a space in which
clusters lie apart and which does not depend on the order of the vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from imgcluster.clustering.kmeans import fit_kmeans
from imgcluster.features import cells, eigenvectors, neighbors
from imgcluster.features.diffusion import diffusion_map
from imgcluster.features.neighbors import (
    cluster_count_graph,
    component_labels,
    connect_components,
    diffusion_neighbors,
    graph_neighbors,
    nearest_neighbors,
    neighbor_graph,
)
from vectors import blobs, output_with_threads, same_partition, scattered


def components(graph: csr_matrix) -> int:
    return int(component_labels(graph).max()) + 1


def ring(count: int) -> csr_matrix:
    """Return a cycle, whose eigenvalues come in equal pairs."""
    rows = np.arange(count)
    one_way = csr_matrix((np.ones(count), (rows, (rows + 1) % count)), shape=(count, count))
    return csr_matrix(one_way + one_way.T)


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
        distances, indices = nearest_neighbors(vectors, 7)
        apart = all_distances(vectors, vectors)
        np.fill_diagonal(apart, np.inf)
        assert (distances.dtype, indices.dtype) == (np.float64, np.int64)
        assert np.array_equal(indices, np.argsort(apart, axis=1)[:, :7])
        assert distances == pytest.approx(np.sort(apart, axis=1)[:, :7], rel=1e-4)

    @pytest.mark.parametrize("dimensions", [3, 40])
    def test_of_others(self, dimensions: int) -> None:
        vectors, others = scattered(60, dimensions), scattered(25, dimensions, seed=1)
        distances, indices = nearest_neighbors(vectors, 60, queries=others)
        apart = all_distances(vectors, others)
        assert np.array_equal(indices[:, :5], np.argsort(apart, axis=1)[:, :5])
        assert distances == pytest.approx(np.sort(apart, axis=1), rel=1e-4)
        assert np.array_equal(np.sort(indices, axis=1), np.tile(np.arange(60), (25, 1)))

    @pytest.mark.parametrize("dimensions", [3, 40])
    def test_part_by_part_is_as_all_at_once(self, dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors = scattered(101, dimensions)
        whole = nearest_neighbors(vectors, 4)
        monkeypatch.setattr(neighbors, "_CHUNK_ROWS", 10)
        parts = nearest_neighbors(vectors, 4)
        assert np.array_equal(parts[1], whole[1])
        assert parts[0] == pytest.approx(whole[0])

    @pytest.mark.parametrize("asked", ["all", "queries"])
    def test_search_by_cells_finds_nearly_all(self, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors = np.concatenate([scattered(100, 24, seed=seed) + 3 * seed for seed in range(30)]).astype(np.float32)
        queries = None if asked == "all" else vectors[::3] + np.float32(0.01)
        exact = nearest_neighbors(vectors, 6, queries=queries)
        monkeypatch.setattr(neighbors, "_EXACT_BUDGET", 0)
        monkeypatch.setattr(neighbors, "_EXACT_AMONG", 0)
        found = nearest_neighbors(vectors, 6, queries=queries)
        hits = [len(np.intersect1d(*pair)) for pair in zip(found[1], exact[1], strict=True)]
        assert np.mean(hits) >= 0.95 * 6
        assert all(len(set(row)) == 6 for row in found[1].tolist())
        if queries is None:
            assert not (found[1] == np.arange(len(vectors))[:, None]).any()
        again = nearest_neighbors(vectors, 6, queries=queries)
        assert again[1].tobytes() == found[1].tobytes()

    def test_four_times_the_vectors_are_less_than_ten_times_the_pairs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cells, "_LEAST_CELLS", 16)

        def pairs(count: int) -> int:
            vectors = scattered(count, 24)
            return sum(len(rows) * len(others) for rows, others in cells.Cells(vectors).pairs(vectors, 6))

        assert pairs(8000) < 10 * pairs(2000)

    @pytest.mark.parametrize("dimensions", [3, 40])
    def test_no_copy_is_its_own_neighbour(self, dimensions: int) -> None:
        distances, indices = nearest_neighbors(np.ones((50, dimensions), np.float32), 5)
        assert not np.any(indices == np.arange(50)[:, None])
        assert np.all(distances == 0)
        assert indices.shape == (50, 5)

    @settings(max_examples=60, derandomize=True)
    @given(st.integers(2, 30), st.integers(1, 25), st.integers(0, 50), st.integers(1, 5))
    def test_any_vectors_with_copies(self, count: int, dimensions: int, seed: int, values: int) -> None:
        vectors = np.random.default_rng(seed).integers(values, size=(count, dimensions)).astype(np.float32)
        wanted = max(1, (count - 1) // 2)
        distances, indices = nearest_neighbors(vectors, wanted)
        apart = all_distances(vectors, vectors)
        assert distances == pytest.approx(np.take_along_axis(apart, indices, axis=1), abs=1e-3)
        np.fill_diagonal(apart, np.inf)
        assert distances == pytest.approx(np.sort(apart, axis=1)[:, :wanted], abs=1e-3)
        assert all(len(set(row)) == wanted for row in indices.tolist())

    @pytest.mark.slow
    def test_one_thread_and_more_give_the_same_bytes(self) -> None:
        program = (
            "import hashlib, numpy as np\n"
            "from imgcluster.features.diffusion import diffusion_map\n"
            "from imgcluster.features.neighbors import nearest_neighbors, neighbor_graph\n"
            "for dimensions in (4, 200):\n"
            "    points = np.random.default_rng(0).normal(size=(900, dimensions)).astype(np.float32)\n"
            "    graph = neighbor_graph(points)\n"
            "    for values in (*nearest_neighbors(points, 9), graph.data, graph.indices, diffusion_map(graph)):\n"
            "        print(hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest())\n"
        )
        assert output_with_threads(program, 1) == output_with_threads(program, 2) == output_with_threads(program, 5)


class TestNeighbourGraph:
    @settings(max_examples=40, derandomize=True)
    @given(st.integers(3, 60), st.integers(1, 8), st.integers(0, 99), st.sampled_from([1e-6, 1, 1e6]))
    def test_weights_are_symmetric_and_between_0_and_1(self, count: int, width: int, seed: int, scale: float) -> None:
        graph = neighbor_graph((scattered(count, width, seed=seed) * scale).astype(np.float32))
        assert graph.shape == (count, count)
        assert graph.diagonal().tolist() == [0] * count
        assert np.all((graph.data > 0) & (graph.data <= 1))
        assert abs(graph - graph.T).max() == pytest.approx(0, abs=1e-12)
        # To the nearest neighbour.
        assert graph.max(axis=1).toarray().ravel() == pytest.approx(np.ones(count))

    def test_before_it_is_made_symmetric_each_has_as_many_neighbours_in_effect(self) -> None:
        # Around a point in the middle of a ring of its neighbours, all weights are 1 whatever the width.
        vectors = scattered(200, 3)
        distances, _ = nearest_neighbors(vectors, 14)
        graph = neighbor_graph(vectors)
        # √200 neighbours; a vector's own weights add up to log2(14), and others' come on top.
        assert np.asarray(graph.sum(axis=1)).min() >= np.log2(distances.shape[1]) - 1e-6

    @pytest.mark.parametrize(("count", "expected"), [(9, 5), (100, 10), (2500, 30)])
    def test_the_number_of_neighbours_grows_from_5_to_30(self, count: int, expected: int) -> None:
        graph = neighbor_graph(scattered(count, 3))
        near = np.diff(graph.indptr)
        # Far neighbours' weights may be too small to be seen, and others add theirs.
        assert expected <= np.median(near) <= 2 * expected
        assert np.array_equal(neighbor_graph(scattered(count, 3), expected).toarray(), graph.toarray())

    @pytest.mark.parametrize(
        ("count", "for_map", "for_count"),
        [(2, 1, 1), (5, 4, 4), (9, 5, 5), (100, 5, 10), (900, 15, 30), (3600, 30, 30), (4900, 30, 30)],
    )
    def test_the_diffusion_map_has_half_as_many_neighbors(self, count: int, for_map: int, for_count: int) -> None:
        assert (diffusion_neighbors(count), graph_neighbors(count)) == (for_map, for_count)

    def test_far_groups_are_components(self) -> None:
        vectors, truth = blobs([40] * 4, spread=0.1)
        assert same_partition(component_labels(neighbor_graph(vectors)), truth)
        assert components(neighbor_graph(scattered(100))) == 1


class TestClusterCountGraph:
    def test_of_few_vectors_it_is_that_of_all(self) -> None:
        vectors = scattered(200, 3)
        graph = cluster_count_graph(vectors)
        assert (graph.weights != neighbor_graph(vectors)).nnz == 0
        assert graph.rows.tolist() == list(range(200))
        assert graph.components == 1

    def test_a_search_with_more_neighbors_can_be_reused(self) -> None:
        vectors = scattered(200, 3)
        graph = cluster_count_graph(vectors, nearest_neighbors(vectors, 50))
        assert (graph.weights != cluster_count_graph(vectors).weights).nnz == 0

    def test_of_many_it_is_graphs_of_samples_side_by_side(self, monkeypatch: pytest.MonkeyPatch) -> None:
        vectors = scattered(1000, 3)
        monkeypatch.setattr(neighbors, "_SAMPLE_SIZE", 300)
        graph = cluster_count_graph(vectors)
        assert graph.weights.shape == (900, 900)
        assert len(set(graph.rows.tolist())) == 900
        for part in (slice(0, 300), slice(300, 600), slice(600, 900)):
            assert (graph.weights[part, part] != neighbor_graph(vectors[graph.rows[part]])).nnz == 0
            assert graph.weights[part].nnz == graph.weights[part, part].nnz
            # Each sample is spread over all.
            assert graph.rows[part].min() < 10
            assert graph.rows[part].max() >= 990

    def test_components_are_counted_and_connected(self) -> None:
        vectors, _ = blobs([40] * 12, spread=0.1)
        graph = cluster_count_graph(vectors)
        assert graph.components == 12
        assert components(graph.weights) == 1


class TestConnectComponents:
    @pytest.mark.parametrize("sizes", [[40, 40], [40] * 12, [8] * 90, [300, 7, 7, 7]])
    def test_as_few_edges_as_possible_connect_all(self, sizes: list[int]) -> None:
        vectors, _ = blobs(sizes, dimensions=len(sizes), spread=0.1)
        graph = neighbor_graph(vectors, 5)
        found = components(graph)
        assert found >= len(sizes)
        connected = connect_components(graph, vectors)
        assert components(connected) == 1
        assert connected.nnz == graph.nnz + 2 * (found - 1)
        assert abs(connected - connected.T).max() == 0

    def test_a_connected_graph_stays(self) -> None:
        graph = neighbor_graph(scattered(100))
        assert (connect_components(graph, scattered(100)) != graph).nnz == 0

    def test_nearest_components_are_joined_by_near_members(self) -> None:
        groups = [np.array([place, 0.0]) + 0.1 * scattered(20, 2, seed=place) for place in (0, 5, 50, 54)]
        vectors = np.concatenate(groups).astype(np.float32)
        graph = neighbor_graph(vectors)
        first, second = (connect_components(graph, vectors) - graph).nonzero()
        joined = {tuple(sorted((a // 20, b // 20))) for a, b in zip(first.tolist(), second.tolist(), strict=True)}
        assert joined == {(0, 1), (2, 3), (1, 2)}
        # Of the second group the member farthest to the left, but for a few.
        end = next(b for a, b in zip(first.tolist(), second.tolist(), strict=True) if a < 20 <= b < 40)
        assert (vectors[20:40, 0] < vectors[end, 0]).sum() <= 3


class TestDiffusionMap:
    @pytest.mark.parametrize("dense", [True, False])
    def test_moons_are_separated(self, dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(eigenvectors, "_DENSE_UP_TO", 400 if dense else 100)
        points, truth = moons(120)
        assert not same_partition(fit_kmeans(points, 2, seed=0, starts=8)[0], truth)
        mapped = diffusion_map(neighbor_graph(points))
        assert same_partition(fit_kmeans(mapped, 2, seed=0, starts=8)[0], truth)

    def test_rings_are_at_right_angles(self) -> None:
        points, truth = rings(120)
        likeness = np.corrcoef(points)
        assert np.abs(likeness[truth[:, None] != truth[None]]).max() > 0.9
        mapped = diffusion_map(neighbor_graph(points))
        likeness = (mapped @ mapped.T).astype(np.float64)
        assert np.abs(likeness[truth[:, None] != truth[None]]).max() < 0.1

    @pytest.mark.parametrize("each", [15, 200])
    def test_components_are_at_right_angles(self, each: int) -> None:
        vectors, truth = blobs([each] * 4, spread=0.1)
        graph = neighbor_graph(vectors)
        assert components(graph) == 4
        mapped = diffusion_map(graph)
        likeness = (mapped @ mapped.T).astype(np.float64)
        assert np.abs(likeness[truth[:, None] != truth[None]]).max() < 0.02
        assert same_partition(fit_kmeans(mapped, 4, seed=0, starts=8)[0], truth)

    @pytest.mark.parametrize("count", [3, 4, 10, 19, 29, 30, 31, 32, 399, 400, 401, 450])
    def test_rows_have_length_1_and_at_most_30_dimensions(self, count: int) -> None:
        mapped = diffusion_map(neighbor_graph(scattered(count)))
        assert mapped.dtype == np.float32
        assert mapped.shape[0] == count
        assert 1 <= mapped.shape[1] <= min(count, 30)
        assert count < 60 or mapped.shape[1] == 30
        assert np.linalg.norm(mapped, axis=1) == pytest.approx(np.ones(count), abs=1e-5)

    @pytest.mark.parametrize("count", [200, 600])
    def test_twice_the_same_bytes(self, count: int) -> None:
        first, second = (diffusion_map(neighbor_graph(scattered(count))) for _ in range(2))
        assert first.tobytes() == second.tobytes()

    def test_both_eigensolvers_give_the_same_distances(self, monkeypatch: pytest.MonkeyPatch) -> None:
        graph = neighbor_graph(scattered(300, 4))
        dense = diffusion_map(graph)
        monkeypatch.setattr(eigenvectors, "_DENSE_UP_TO", 100)
        sparse = diffusion_map(graph)
        assert np.allclose(dense @ dense.T, sparse @ sparse.T, rtol=0, atol=2e-3)

    @pytest.mark.parametrize(
        "graph",
        [ring(500), ring(200), neighbor_graph(scattered(600, 4))],
        ids=["ring of 500", "ring of 200", "neighbors of 600"],
    )
    @pytest.mark.parametrize("seed", range(3))
    def test_the_order_of_the_vertices_does_not_matter(self, graph: csr_matrix, seed: int) -> None:
        # The eigenvalues of a ring are equal in pairs, and a pair that is cut in two depends on rounding.
        order = np.random.default_rng(seed).permutation(graph.shape[0])
        mapped, reordered = diffusion_map(graph), diffusion_map(graph[order][:, order])
        # Not `pytest.approx`, which compares one value after another.
        assert np.allclose(reordered @ reordered.T, (mapped @ mapped.T)[order][:, order], rtol=0, atol=1e-4)

    def test_a_little_noise_changes_a_little(self) -> None:
        graph = neighbor_graph(scattered(500, 4))
        noise = graph.copy()
        noise.data *= 1 + 1e-6 * np.random.default_rng(0).normal(size=len(noise.data))
        mapped, noisy = diffusion_map(graph), diffusion_map(csr_matrix((noise + noise.T) / 2))
        assert np.allclose(noisy @ noisy.T, mapped @ mapped.T, rtol=0, atol=1e-3)

    def test_it_is_a_function_of_the_transition_matrix(self) -> None:
        graph = neighbor_graph(scattered(100, 3))
        weights = graph.toarray()
        degrees = weights.sum(axis=1)
        values, vectors = np.linalg.eigh(weights / np.sqrt(np.outer(degrees, degrees)))
        floor = values[-31]
        likeness = (vectors * (np.clip(values - floor, 0, None) / (1 - floor)) ** 4) @ vectors.T
        size = np.sqrt(np.diag(likeness))
        mapped = diffusion_map(graph)
        assert mapped @ mapped.T == pytest.approx(likeness / np.outer(size, size), abs=1e-4)
