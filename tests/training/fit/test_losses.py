"""Every loss against a naive re-implementation in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from imgcluster_training.fit.losses import LOSSES  # noqa: E402
from imgcluster_training.models.autoencoder import Outputs  # noqa: E402


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    made, wanted = (random.uniform(0.01, 0.99, (3, 3, 4, 5)) for _ in range(2))
    mean, log_variance = random.normal(size=(3, 2)), random.normal(size=(3, 2))
    outputs = Outputs(*(torch.from_numpy(array) for array in (made, mean, mean, log_variance)))
    return outputs, torch.from_numpy(wanted), made, wanted, mean, log_variance


def naive_mse(made, wanted):
    return sum((a - b) ** 2 for a, b in zip(made.ravel(), wanted.ravel(), strict=True)) / made.size


def test_mse(batch):
    outputs, target, made, wanted, *_ = batch
    assert LOSSES["mse"](outputs, target).item() == pytest.approx(naive_mse(made, wanted))


def test_bce(batch):
    outputs, target, made, wanted, *_ = batch
    pairs = zip(made.ravel(), wanted.ravel(), strict=True)
    naive = -sum(t * np.log(p) + (1 - t) * np.log(1 - p) for p, t in pairs) / made.size
    assert LOSSES["bce"](outputs, target).item() == pytest.approx(naive)


def test_mse_and_cosine(batch):
    outputs, target, made, wanted, *_ = batch
    cosines = []
    for image in range(3):
        for row in range(4):
            for column in range(5):
                a, b = made[image, :, row, column], wanted[image, :, row, column]
                cosines.append(a @ b / np.sqrt(a @ a) / np.sqrt(b @ b))
    naive = naive_mse(made, wanted) + 1 - np.mean(cosines)
    assert LOSSES["mse+cosine"](outputs, target).item() == pytest.approx(naive, rel=1e-6)


def test_vae(batch):
    outputs, target, made, wanted, mean, log_variance = batch
    divergences = [
        sum(0.5 * (np.exp(lv) + m * m - 1 - lv) for m, lv in zip(*pair, strict=True))
        for pair in zip(mean, log_variance, strict=True)
    ]
    naive = 1000 * naive_mse(made, wanted) + np.mean(divergences)
    assert LOSSES["vae"](outputs, target).item() == pytest.approx(naive)


def test_the_variational_loss_needs_a_distribution():
    outputs = Outputs(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2))
    with pytest.raises(TypeError, match="variational"):
        LOSSES["vae"](outputs, torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize("name", ["mse", "bce", "mse+cosine"])
@pytest.mark.parametrize("made", [0.0, 1.0])
@pytest.mark.parametrize("wanted", [0.0, 1.0])
def test_losses_and_gradients_are_finite_at_the_ends_of_the_range(name, made, wanted):
    reconstruction = torch.full((2, 3, 4, 4), made, requires_grad=True)
    outputs = Outputs(reconstruction, torch.zeros(2, 1))
    loss = LOSSES[name](outputs, torch.full((2, 3, 4, 4), wanted))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(reconstruction.grad).all()


def test_a_black_pixel_has_cosine_zero():
    outputs = Outputs(torch.zeros(1, 3, 1, 1), torch.zeros(1, 1))
    assert LOSSES["mse+cosine"](outputs, torch.ones(1, 3, 1, 1)).item() == pytest.approx(2.0, abs=1e-5)
