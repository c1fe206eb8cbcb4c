"""The contrastive loss against a naive re-implementation."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.deep_clustering.contrastive import nt_xent  # noqa: E402


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_loss_is_that_of_the_paper(count, temperature):
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(count, 7, generator=generator, dtype=torch.float64) for _ in range(2))
    views = [*first, *second]

    def cosine(a, b):
        return float(a @ b / (a.norm() * b.norm()))

    total = 0.0
    for i in range(2 * count):
        partner = (i + count) % (2 * count)
        others = [math.exp(cosine(views[i], views[j]) / temperature) for j in range(2 * count) if j != i]
        total -= math.log(math.exp(cosine(views[i], views[partner]) / temperature) / sum(others))
    assert nt_xent(first, second, temperature).item() == pytest.approx(total / (2 * count))


def test_a_single_pair_has_nothing_to_be_told_from():
    assert nt_xent(torch.randn(1, 3), torch.randn(1, 3), 0.5).item() == 0.0
