"""CIFAR-10 test images, and their `photos` features: what defaults are tuned on, never what the README reports."""

from __future__ import annotations

import zipfile

import numpy as np
import numpy.typing as npt

from benchmarks.common import data_folder
from imgcluster import Encoder
from imgcluster.clustering.kmeans import fit_kmeans
from imgcluster.evaluation.external import score
from imgcluster.images.decode import decode
from imgcluster.images.types import InputSpec
from imgcluster.types import Pixels

__all__ = ["STARTS", "encoded", "features", "gains", "pictures", "scored"]

STARTS = 20
_BATCH = 32


def features(count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.str_]]:
    """Return vectors ``float32 (count, values)`` of images drawn at random, and their labels."""
    encoder = Encoder("photos", device="cpu")
    pixels, labels = pictures(count, encoder.info.input_spec)
    return encoded(encoder, pixels), labels


def encoded(encoder: Encoder, pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return the vectors of prepared images."""
    return np.concatenate([encoder.encode(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)])


def pictures(count: int, spec: InputSpec) -> tuple[Pixels, npt.NDArray[np.str_]]:
    """Return images drawn at random, prepared as `spec` says, and their labels; the same are drawn every time."""
    with zipfile.ZipFile(data_folder() / "cifar10-jpeg.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("test/") and name.endswith(".jpg"))
        chosen = np.random.default_rng(0).choice(len(names), count, replace=False)
        labels = np.array([names[index].split("/")[1] for index in chosen])
        pixels = np.empty((count, spec.height, spec.width, spec.channels), dtype=np.uint8)
        for place, index in enumerate(chosen):
            pixels[place] = decode(archive.read(names[index]), spec).pixels
        return pixels, labels


def scored(space: npt.NDArray[np.float32], labels: npt.NDArray[np.str_]) -> tuple[float, float]:
    """Return accuracy and NMI of k-means in this space with the true number of clusters."""
    told = labels.tolist()
    found, _ = fit_kmeans(space, len(set(told)), seed=0, starts=STARTS)
    scores = score(found, told)
    return scores.accuracy, scores.nmi


def gains(scores: list[tuple[float, float]], usual: list[tuple[float, float]]) -> str:
    """Return mean accuracy and NMI over some sets, and what they gain over the usual way's on the same sets."""
    gained = np.array(scores) - np.array(usual)
    error = gained.std(axis=0, ddof=1) / np.sqrt(len(gained))
    (accuracy, nmi), (more, better) = np.mean(scores, axis=0), gained.mean(axis=0)
    return f"accuracy {accuracy:.3f} ({more:+.3f} ± {error[0]:.3f})  NMI {nmi:.3f} ({better:+.3f} ± {error[1]:.3f})"
