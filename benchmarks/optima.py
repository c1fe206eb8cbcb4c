"""How clear the optimum of k-means is, and how much clusters depend on the sample, for two weightings of eigenvectors.

On samples of CIFAR-10 with the encoder `cifar10`. For the weights λ⁸ of the first 20 eigenvectors, which end at a cut,
and those of `diffusion_map`, which fall to 0: the mean and lowest adjusted Rand index between the clusters of two
samples on their common images; the share of 16 starts that end in the best optimum; and the inertia of the best optimum
with other clusters, in units of the best. Labels are not used.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.sparse import diags
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from benchmarks.common import machine
from benchmarks.scores import Case, embedded
from imgcluster.features.diffusion import COMPONENTS, EXPONENT
from imgcluster.features.neighbors import diffusion_graph
from imgcluster.features.normalize import l2_normalize, normalize_features

Floats = npt.NDArray[np.float64]

SAMPLES, SIZE = 4, 15_000
STARTS, CLUSTERS = 16, 10
OTHER = 0.97


def main() -> None:
    warnings.simplefilter("ignore")
    print(machine())
    vectors, _, metric = embedded(Case("cifar10", "cifar10"))
    generator = np.random.default_rng(0)
    samples = [np.sort(generator.choice(len(vectors), SIZE, replace=False)) for _ in range(SAMPLES)]
    spectra = [spectrum(normalize_features(vectors[rows], metric)) for rows in samples]
    weightings: dict[str, Callable[[Floats], Floats]] = {
        "λ⁸, cut after 20": lambda values: np.where(np.arange(len(values)) < 20, np.clip(values, 0, None) ** 8, 0),
        "falling to 0": lambda values: ((values - values[-1]) / (1 - values[-1])) ** EXPONENT,
    }
    for name, weights in weightings.items():
        found = [optima(l2_normalize((eigen * weights(values)).astype(np.float32))) for values, eigen in spectra]
        agreements = []
        for first, second in itertools.combinations(range(SAMPLES), 2):
            _, one, other = np.intersect1d(samples[first], samples[second], return_indices=True)
            agreements.append(adjusted_rand_score(found[first][0][one], found[second][0][other]))
        hits, ratios = np.mean([hit for _, hit, _ in found]), [ratio for *_, ratio in found]
        print(
            f"{name:18} samples agree {np.mean(agreements):.3f}, at least {min(agreements):.3f}; best optimum in "
            f"{hits:.0%} of starts; next one {min(ratios):.4f} to {max(ratios):.4f}",
            flush=True,
        )


def spectrum(vectors: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return the largest eigenvalues of the random walk, descending, and their eigenvectors."""
    graph = diffusion_graph(vectors)
    scale = diags(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
    start = np.random.default_rng(0).standard_normal(len(vectors))
    values, eigen = eigsh(scale @ graph @ scale, k=COMPONENTS + 1, which="LA", v0=start, tol=1e-8)
    return values[::-1], eigen[:, ::-1]


def optima(points: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int32], float, float]:
    """Return the best labels, the share of starts that end there, and the relative inertia of the next best optimum."""
    fits = [KMeans(CLUSTERS, n_init=1, random_state=seed).fit(points) for seed in range(STARTS)]
    fits.sort(key=lambda fit: fit.inertia_)
    same = [adjusted_rand_score(fits[0].labels_, fit.labels_) > OTHER for fit in fits]
    ratio = next((fit.inertia_ / fits[0].inertia_ for fit, alike in zip(fits, same, strict=True) if not alike), np.inf)
    return fits[0].labels_, float(np.mean(same)), float(ratio)


if __name__ == "__main__":
    main()
