"""How much of a picture the `photos` encoder sees and how it averages its network's maps.

Chosen on CIFAR-10 test images in sets of 300, 900 and 3,000. These have 32 pixels a side and are enlarged sevenfold;
that shows in the last lines, where the same pictures are shown at three quarters of that size on grey.

Prints accuracy and NMI of the default clustering with the true number of clusters. What the README reports on is not
looked at.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.cifar import gains, pictures, scored
from benchmarks.common import machine
from imgcluster.features.normalize import normalize_features
from imgcluster.features.reduce import reduce
from imgcluster.types import Pixels
from imgcluster_training.export.photos import MEAN, PHOTOS, SCALE, WINDOWS, PhotoFeatures

COUNT = 9000
PARTS = ((300, 15), (900, 10), (3000, 3))
SHARES = (0.875, 1.0)
SMALLER = 168
GREY = 127
BATCH = 50

ALL = slice(None)
THIRDS = (slice(0, 3), slice(2, 5), slice(4, 7))
POOLED = {
    "the last block, averaged (320)": ((ALL, ALL),),
    "three bands (960)": tuple((rows, ALL) for rows in THIRDS),
    "three columns (960)": tuple((ALL, columns) for columns in THIRDS),
    "three bands and the centre (1,280)": WINDOWS,
    "three by three (2,880)": tuple((rows, columns) for rows in THIRDS for columns in THIRDS),
}


def main() -> None:
    print(machine())
    print("the share of the sides is how much of the picture is seen; the first line is how the network was published")
    spec = PHOTOS.input_spec
    vectors = {}
    shown = {f"of {share:.1%}": pictures(COUNT, dataclasses.replace(spec, crop_fraction=share))[0] for share in SHARES}
    small, labels = pictures(COUNT, dataclasses.replace(spec, width=SMALLER, height=SMALLER))
    border = (spec.width - SMALLER) // 2
    shown["smaller"] = np.pad(small, ((0, 0), (border, border), (border, border), (0, 0)), constant_values=GREY)
    for how, pixels in shown.items():
        head, maps = computed(pixels)
        vectors[f"the head, averaged (1,280), {how}"] = head
        for title, windows in POOLED.items():
            pooled = [maps[:, :, rows, columns].mean(axis=(2, 3)) for rows, columns in windows]
            vectors[f"{title}, {how}"] = np.hstack(pooled)
    for size, parts in PARTS:
        print(f"\n{parts} sets of {size:,}: mean, and what is gained (± standard error)")
        usual: list[tuple[float, float]] = []
        for title, values in vectors.items():
            scores = [clustered(values, labels, slice(part * size, (part + 1) * size)) for part in range(parts)]
            usual = usual or scores
            print(f"  {title:52} {gains(scores, usual)}", flush=True)


def computed(pixels: Pixels) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the averaged head ``float32 (n, 1280)`` and the last block's maps ``float32 (n, 320, 7, 7)``."""
    features = PhotoFeatures()
    heads, maps = [], []
    with torch.inference_mode():
        for start in range(0, len(pixels), BATCH):
            part = torch.from_numpy(pixels[start : start + BATCH]).permute(0, 3, 1, 2)
            found = features.maps((part.float() - MEAN) / SCALE)
            network = features.network
            heads.append(network._swish(network._bn1(network._conv_head(found))).mean(dim=(2, 3)).numpy())
            maps.append(found.numpy())
    return np.concatenate(heads), np.concatenate(maps)


def clustered(vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.str_], part: slice) -> tuple[float, float]:
    """Return accuracy and NMI of some of the images."""
    return scored(reduce(normalize_features(vectors[part], "cosine"), "graph", seed=0).vectors, labels[part])


if __name__ == "__main__":
    main()
