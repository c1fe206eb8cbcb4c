"""The choice of HDBSCAN's defaults: `photos` features of CIFAR-10 test images, in sets of 60 to 3,000.

Prints clusters, noise and NMI for each setting. The photographs that the README reports on are not looked at.
"""

from __future__ import annotations

import itertools
import warnings
import zipfile

import numpy as np
from hdbscan import HDBSCAN
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score, silhouette_samples

from benchmarks.common import data_folder, machine
from imgcluster import Encoder
from imgcluster.images import decode
from imgcluster.reduction import normalise

COUNTS = (60, 300, 1000, 3000)
DIMENSIONS = (0, 5, 10, 20, 50)
MIN_SAMPLES = (1, 3, 5)


def main() -> None:
    warnings.simplefilter("ignore")
    print(machine())
    encoder = Encoder("photos", device="cpu")
    with zipfile.ZipFile(data_folder() / "cifar10-jpeg.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("test/") and name.endswith(".jpg"))
        chosen = np.random.default_rng(0).choice(len(names), max(COUNTS), replace=False)
        labels = np.array([names[index].split("/")[1] for index in chosen])
        pixels = [decode(archive.read(names[index]), encoder.info.input_spec).pixels for index in chosen]
    batches = [encoder.encode(np.stack(pixels[start : start + 32])) for start in range(0, len(pixels), 32)]
    vectors = normalise(np.concatenate(batches))
    print("images  PCA  min_cluster  min_samples  selection  clusters  noise  silhouette   NMI")
    for count, dimensions, samples in itertools.product(COUNTS, DIMENSIONS, MIN_SAMPLES):
        smallest = max(4, round(np.sqrt(count) / 2))
        points = vectors[:count].astype(np.float64)
        if dimensions:
            points = PCA(dimensions, random_state=0).fit_transform(points)
        for selection in ("eom", "leaf"):
            model = HDBSCAN(
                min_cluster_size=smallest,
                min_samples=samples,
                cluster_selection_method=selection,
                core_dist_n_jobs=1,
            )
            found = model.fit_predict(points)
            print(
                f"{count:6}  {dimensions or 'no':>3}  {smallest:11}  {samples:11}  {selection:9}  "
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
