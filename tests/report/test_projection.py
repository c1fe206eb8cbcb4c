"""The map's layout: similar images side by side, the same every time, whatever the vectors are."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest

from imgcluster.report import projection as projection
from imgcluster.report.projection import choose_projection, project

METHODS = [
    "pca",
    pytest.param("umap", marks=pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="no umap")),
]


def groups(each: int = 40, dimensions: int = 12) -> np.ndarray:
    generator = np.random.default_rng(0)
    centres = np.zeros((3, dimensions))
    centres[np.arange(3), np.arange(3)] = 5
    return (np.repeat(centres, each, axis=0) + generator.normal(0, 0.3, (3 * each, dimensions))).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_groups_are_apart_and_the_map_is_framed(method: str) -> None:
    found = project(groups(), method, seed=1)
    assert found.points.shape == (120, 2)
    assert found.points.dtype == np.float32
    assert np.abs(found.points).max() == pytest.approx(1, abs=1e-5)
    centres = found.points.reshape(3, 40, 2).mean(axis=1)
    spread = found.points.reshape(3, 40, 2).std(axis=1).max()
    distances = [np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(distances) > 2 * spread
    assert found.how == {"pca": "PCA", "umap": "UMAP"}[method]
    again = project(groups(), method, seed=1)
    assert (again.points == found.points).all()


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((0, 4)),
        np.ones((1, 4)),
        np.eye(2),
        np.ones((300, 5)),
        np.full((20, 3), np.nan),
        np.arange(30.0).reshape(30, 1),
        np.eye(3),
    ],
    ids=["none", "one", "two", "the same", "no numbers", "one dimension", "three"],
)
def test_degenerate_sets_have_places(vectors: np.ndarray) -> None:
    for method in ("pca", choose_projection(len(vectors))):
        found = project(vectors.astype(np.float32), method)
        assert found.points.shape == (len(vectors), 2)
        assert np.isfinite(found.points).all()
        assert np.abs(found.points).max(initial=0) <= 1.0001


@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="no umap")
def test_of_many_some_are_laid_out_and_the_others_put_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "_UMAP_UP_TO", 150)
    found = project(groups(100), "umap")
    assert found.how.startswith("UMAP of 150, ")
    centres = np.median(found.points.reshape(3, 100, 2), axis=1)
    nearest = ((found.points[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == np.repeat(np.arange(3), 100)).mean() > 0.95


def test_large_sets_are_projected_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = project(groups(), "pca").points
    monkeypatch.setattr(projection, "_CHUNK", 7)
    assert project(groups(), "pca").points == pytest.approx(whole, abs=1e-4)


# Missing, or a folder left by an uninstallation, which imports as an empty module.
@pytest.mark.parametrize("module", [None, ModuleType("umap")])
def test_an_unusable_umap_is_replaced_by_pca_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, module: ModuleType | None
) -> None:
    expected = project(groups(), "pca")
    monkeypatch.setitem(sys.modules, "umap", module)
    found = project(groups(), "umap")
    assert (found.method, found.how) == ("pca", "PCA")
    np.testing.assert_array_equal(found.points, expected.points)
    (warning,) = caplog.messages
    assert "imgcluster[umap]" in warning


def test_few_images_are_laid_out_by_pca() -> None:
    assert choose_projection(10) == "pca"
