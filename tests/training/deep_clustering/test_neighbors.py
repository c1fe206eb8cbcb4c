"""The losses of neighbor consistency against naive re-implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.deep_clustering.neighbors import agreement, pseudo_label_loss  # noqa: E402


def softmax(row):
    values = np.exp(row - np.max(row))
    return values / values.sum()


@pytest.mark.parametrize("entropy", [0.0, 2.0])
def test_agreement_is_scans_loss(entropy):
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(6, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    ours, theirs = ([softmax(row) for row in logits.numpy()] for logits in (first, second))
    together = -sum(math.log(sum(p * q)) for p, q in zip(ours, theirs, strict=True)) / 6
    sizes = [sum(row[cluster] for row in ours) / 6 for cluster in range(4)]
    spread = -sum(size * math.log(size) for size in sizes)
    assert agreement(first, second, entropy).item() == pytest.approx(together - entropy * spread, rel=1e-5)


def test_the_pseudo_label_loss_weighs_clusters_and_leaves_out_the_unlabelled():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels, weights = torch.tensor([2, -1, 0, 0, -1]), torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    sure = [(number, label) for number, label in enumerate(labels.tolist()) if label >= 0]
    naive = -sum(weights[label].item() * math.log(softmax(logits[number].numpy())[label]) for number, label in sure)
    naive /= sum(weights[label].item() for _, label in sure)
    assert pseudo_label_loss(logits, labels, weights).item() == pytest.approx(naive)


def test_nobody_labelled_is_no_loss():
    logits = torch.randn(3, 2, requires_grad=True)
    loss = pseudo_label_loss(logits, torch.full((3,), -1), torch.ones(2))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros(3, 2))
