"""DEC's shares, targets and divergence against naive re-implementations of the paper's equations."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.deep_clustering.dec import cluster_probabilities, divergence, sharpened  # noqa: E402


@pytest.fixture
def codes_and_centers():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(count, 3, generator=generator, dtype=torch.float64) for count in (6, 4))


def naive_shares(codes, centers):
    rows = []
    for code in codes.numpy():
        kernel = [(1 + np.sum((code - center) ** 2)) ** -1.0 for center in centers.numpy()]
        rows.append([value / sum(kernel) for value in kernel])
    return rows


def test_probabilities_are_student_t(codes_and_centers):
    np.testing.assert_allclose(cluster_probabilities(*codes_and_centers), naive_shares(*codes_and_centers))


def test_targets_are_sharpened_and_large_clusters_held_back(codes_and_centers):
    shares = naive_shares(*codes_and_centers)
    sizes = [sum(column) for column in zip(*shares, strict=True)]
    naive = []
    for row in shares:
        values = [share**2 / size for share, size in zip(row, sizes, strict=True)]
        naive.append([value / sum(values) for value in values])
    np.testing.assert_allclose(sharpened(torch.tensor(shares, dtype=torch.float64)), naive)


def test_the_divergence_is_kullback_leiblers(codes_and_centers):
    shares = cluster_probabilities(*codes_and_centers)
    targets = sharpened(shares)
    naive = sum(
        p * math.log(p / q)
        for ps, qs in zip(targets.tolist(), shares.tolist(), strict=True)
        for p, q in zip(ps, qs, strict=True)
    )
    assert divergence(shares, targets).item() == pytest.approx(naive / len(shares), rel=1e-6)
    assert divergence(targets, targets).item() == pytest.approx(0.0, abs=1e-9)


def test_a_share_of_nothing_costs_no_infinity():
    shares = torch.tensor([[1.0, 0.0]], requires_grad=True)
    loss = divergence(shares, torch.tensor([[0.0, 1.0]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(shares.grad).all()
