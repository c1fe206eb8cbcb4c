"""The choice of HDBSCAN's defaults: `photos` features of CIFAR-10 test images, in sets of 60 to 3,000.

Prints clusters, noise and NMI for each setting. The photographs that the README reports on are not looked at.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
from hdbscan import HDBSCAN
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score, silhouette_samples

from benchmarks.cifar import features
from benchmarks.common import machine
from imgcluster.features.normalize import normalize_features
from imgcluster.features.reduce import reduce

COUNTS = (60, 300, 1000, 3000)
SPACES = ("none", "PCA 5", "PCA 10", "PCA 50", "graph")
MIN_SAMPLES = (1, 3, 5)


def main() -> None:
    warnings.simplefilter("ignore")
    print(machine())
    vectors, labels = features(max(COUNTS))
    print("images   space  min_cluster  min_samples  selection  clusters  noise  silhouette   NMI")
    for count, space, samples in itertools.product(COUNTS, SPACES, MIN_SAMPLES):
        smallest = max(4, round(np.sqrt(count) / 2))
        points = normalize_features(vectors[:count], "cosine")
        if space.startswith("PCA"):
            points = PCA(int(space.split()[1]), random_state=0).fit_transform(points)
        else:
            points = reduce(points, space, seed=0).vectors
        points = points.astype(np.float64)
        for selection in ("eom", "leaf"):
            model = HDBSCAN(
                min_cluster_size=smallest,
                min_samples=samples,
                cluster_selection_method=selection,
                core_dist_n_jobs=1,
            )
            found = model.fit_predict(points)
            print(
                f"{count:6}  {space:>6}  {smallest:11}  {samples:11}  {selection:9}  "
                f"{found.max() + 1:8}  {(found < 0).mean():5.2f}  {mean_silhouette(points, found):10.3f}  "
                f"{normalized_mutual_info_score(labels[:count], found):.2f}",
                flush=True,
            )


def mean_silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean silhouette, noise counting as 0: what decides between leaves and excess of mass."""
    inside = labels >= 0
    if len(np.unique(labels[inside])) < 2:
        return 0.0
    return float(silhouette_samples(points[inside], labels[inside]).sum() / len(labels))


if __name__ == "__main__":
    main()
