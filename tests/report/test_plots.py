"""Figures of a clustering: they show what they are given, in the page's colors, whatever names hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.offsetbox import AnnotationBbox
from PIL import Image

from imgcluster.clustering.condensed_tree import condensed_tree
from imgcluster.clustering.density import single_linkage_tree
from imgcluster.report.palette import cluster_color
from imgcluster.report.plots import map_figure, montage_figure, save, silhouette_figure, sizes_figure, tree_figure

GENERATOR = np.random.default_rng(0)
CLUSTERS = np.repeat([0, 1, 2, -1], 50)
POINTS = (GENERATOR.normal(0, 0.1, (200, 2)) + np.repeat([[-0.7, 0], [0.7, 0], [0, 0.7], [0, 0]], 50, axis=0)).astype(
    np.float32
)
TITLES = {0: "0", 1: "Sea & $un$", 2: "日本 _^{", -1: "noise"}
PICTURES = [(index, np.full((16, 16, 3), index, np.uint8)) for index in (0, 50, 100, 1, 51, 101)]


def vectors() -> np.ndarray:
    centroids = np.eye(3, 6) * 8
    noise = np.random.default_rng(1).normal(0, 0.4, (120, 6))
    return (np.repeat(centroids, 40, axis=0) + noise).astype(np.float32)


def a_map() -> Any:
    return map_figure(POINTS, CLUSTERS, TITLES, PICTURES, "UMAP")


def a_montage() -> Any:
    return montage_figure(np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8), 1, TITLES[1])


def silhouettes() -> Any:
    values = np.where(CLUSTERS < 0, np.nan, np.random.default_rng(1).uniform(-0.2, 0.6, 200))
    return silhouette_figure(values, CLUSTERS, TITLES)


def sizes() -> Any:
    return sizes_figure({0: 50, 1: 50, 2: 50, -1: 50}, TITLES)


def a_tree() -> Any:
    labels = np.repeat([2, 0, 1], 40)
    tree = condensed_tree(
        single_linkage_tree(vectors(), 1), {"min_cluster_size": 5, "min_samples": 1, "selection": "eom"}, labels
    )
    assert tree is not None
    return tree_figure(*tree, TITLES)


ALL = [a_map, a_montage, silhouettes, sizes, a_tree]


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_each_is_written_as_png_and_svg(make: Callable[[], Any], tmp_path: Path) -> None:
    for kind in ("png", "svg"):
        save(make(), tmp_path / f"a.{kind}")
        save(make(), tmp_path / f"b.{kind}")
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 150
        assert np.asarray(picture.convert("L")).std() > 5
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_the_map_holds_every_point_in_its_colour_and_one_title_for_each_cluster() -> None:
    axes = a_map().axes[0]
    drawn = {to_hex(part.get_facecolor()[0]): len(part.get_offsets()) for part in axes.collections}
    assert drawn == {cluster_color(number): 50 for number in TITLES}
    assert sorted(text.get_text() for text in axes.texts) == sorted(["0", r"Sea & \$un\$", "日本 _^{"])
    assert axes.get_xlabel() == "UMAP"
    boxes = [artist for artist in axes.get_children() if isinstance(artist, AnnotationBbox)]
    assert 3 <= len(boxes) <= 6


def test_a_map_of_very_many_points_is_a_picture_inside_its_svg() -> None:
    points = GENERATOR.uniform(-1, 1, (6000, 2)).astype(np.float32)
    axes = map_figure(points, np.zeros(6000, np.int64), {0: "0"}, [], "PCA").axes[0]
    assert axes.collections[0].get_rasterized()


def test_silhouettes_are_sorted_and_their_mean_is_said() -> None:
    axes = silhouettes().axes[0]
    assert len(axes.collections) == 3
    assert axes.get_legend().get_texts()[0].get_text().startswith("mean 0.")


def test_silhouettes_that_are_not_defined_are_said_to_be() -> None:
    axes = silhouette_figure(np.full(5, np.nan), np.zeros(5, np.int64), {0: "0"}).axes[0]
    assert [text.get_text() for text in axes.texts] == ["not defined here"]


def test_hundreds_of_clusters_fit() -> None:
    many = {number: 300 - number for number in range(300)}
    figure = sizes_figure(many, {number: str(number) for number in many})
    assert figure.get_size_inches().max() <= 24
    assert len(figure.axes[0].get_xticklabels()) <= 40


class TestTree:
    def test_nodes_have_the_colours_of_their_clusters(self) -> None:
        axes = a_tree().axes[0]
        colors = {to_hex(bar.get_facecolor()) for bar in axes.patches}
        assert {cluster_color(number) for number in (0, 1, 2)} <= colors
        assert sorted(text.get_text() for text in axes.texts) == sorted(["0", r"Sea & \$un\$", "日本 _^{"])

    def test_a_node_is_called_after_most_of_its_members(self) -> None:
        labels = np.repeat([2, 0, 1], 40)
        labels[:10] = -1
        labels[40:45] = 1
        tree = condensed_tree(single_linkage_tree(vectors(), 1), {"min_cluster_size": 5, "selection": "eom"}, labels)
        assert tree is not None
        assert sorted(tree[1].values()) == [0, 1, 2]

    @pytest.mark.parametrize(
        ("points", "parameters"),
        [
            (np.zeros((3, 2)), {"min_cluster_size": 4}),
            (np.zeros((30, 2)), {}),
            (np.zeros((30, 2)), {"identical": True}),
            (np.zeros((30, 2)), {"min_cluster_size": 4}),
        ],
    )
    def test_where_there_is_no_tree(self, points: np.ndarray, parameters: dict[str, Any]) -> None:
        hierarchy = single_linkage_tree(points.astype(np.float32), 1)
        tree = condensed_tree(hierarchy, parameters, np.zeros(len(points), np.int64))
        assert tree is None or np.isfinite(tree[0]["bar_tops"]).all()
