"""`photos` features of CIFAR-10 test images: what defaults are tuned on, never what the README reports."""

from __future__ import annotations

import zipfile

import numpy as np
import numpy.typing as npt

from benchmarks.common import data_folder
from imgcluster import Encoder
from imgcluster.images import decode

__all__ = ["features"]


def features(count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.str_]]:
    """Return vectors ``float32 (count, 1280)`` of images drawn at random, and their labels."""
    encoder = Encoder("photos", device="cpu")
    with zipfile.ZipFile(data_folder() / "cifar10-jpeg.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("test/") and name.endswith(".jpg"))
        chosen = np.random.default_rng(0).choice(len(names), count, replace=False)
        labels = np.array([names[index].split("/")[1] for index in chosen])
        pixels = [decode(archive.read(names[index]), encoder.info.input_spec).pixels for index in chosen]
    batches = [encoder.encode(np.stack(pixels[start : start + 32])) for start in range(0, len(pixels), 32)]
    return np.concatenate(batches), labels
