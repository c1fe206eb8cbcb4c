"""How well `outliers` finds blurred images and images from other collections, on the tuning sets.

::

    python -m benchmarks.outliers
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from sklearn.metrics import average_precision_score, roc_auc_score

import imgcluster
from benchmarks.common import data_folder, machine
from imgcluster.features.normalize import l2_normalize
from imgcluster.features.outlyingness import neighbor_outlyingness
from imgcluster.images.decode import decode
from imgcluster.images.quality import QUALITY_PROBLEMS, quality_problems
from imgcluster.images.types import InputSpec
from imgcluster.types import Vectors

_SPEC: Final = InputSpec(width=224, height=224, channels=3, resize="stretch", filter="bilinear")
# Standard deviations of the Gaussian, as shares of the longer side.
_BLURS: Final = (0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02)
_SIDES: Final = (160, 320, 640, 1280)
_FOREIGN: Final = 8
_TRIALS: Final = 20
_FAR: Final = 2.5

_Floats = npt.NDArray[np.float64]


def measure(picture: Image.Image) -> tuple[list[float], list[int]]:
    """Return brightness, colorfulness, contrast and sharpness of a JPEG of a picture, and its size."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=92)
    found = decode(stream.getvalue(), _SPEC)
    return [found.brightness, found.color, found.contrast, found.sharpness], [found.width, found.height]


def flagged(pictures: list[Image.Image]) -> dict[str, float]:
    """Return the share of pictures with each problem."""
    found = [measure(picture) for picture in pictures]
    statistics = np.array([one for one, _ in found], np.float32)
    problems = quality_problems(statistics, np.array([size for _, size in found], np.int32))
    return {name: float(problem.mean()) for name, problem in problems.items()}


def report_quality(pictures: list[Image.Image]) -> None:
    sharp = np.array([measure(picture)[0][3] for picture in pictures])
    shares = flagged(pictures)
    print(f"\n{len(pictures)} photographs as they are: " + ", ".join(f"{n} {shares[n]:.3f}" for n in QUALITY_PROBLEMS))
    print("\nblur (share of the longer side), ROC AUC of sharpness, share found")
    for blur in _BLURS:
        changed = [one.filter(ImageFilter.GaussianBlur(blur * max(one.size))) for one in pictures]
        values = np.array([measure(picture)[0][3] for picture in changed])
        known = ~(np.isnan(sharp) | np.isnan(values))
        truth = np.repeat([0, 1], known.sum())
        area = roc_auc_score(truth, -np.concatenate([sharp[known], values[known]]))
        print(f"  {blur:.3f}  {area:.3f}  {flagged(changed)['blurred']:.3f}")
    print("\nlonger side, mean sharpness of the same pictures, sharp and blurred by 0.01")
    for side in _SIDES:
        sized = [one.resize([round(side * value / max(one.size)) for value in one.size]) for one in pictures]
        soft = [one.filter(ImageFilter.GaussianBlur(0.01 * max(one.size))) for one in sized]
        means = (np.nanmean([measure(picture)[0][3] for picture in group]) for group in (sized, soft))
        print(f"  {side:5}  " + "  ".join(f"{value:.3f}" for value in means))


def report_far(vectors: Vectors, sets: npt.NDArray[np.str_]) -> None:
    random = np.random.default_rng(15)
    names = np.unique(sets)
    results = []
    for trial in range(_TRIALS):
        name = names[trial % len(names)]
        foreign = random.choice(np.flatnonzero(sets != name), _FOREIGN, replace=False)
        rows = np.concatenate([np.flatnonzero(sets == name), foreign])
        truth = np.arange(len(rows)) >= len(rows) - _FOREIGN
        scores = neighbor_outlyingness(vectors[rows])
        far = scores > _FAR
        results.append(
            (
                average_precision_score(truth, scores),
                roc_auc_score(truth, scores),
                far[truth].mean(),
                far[~truth].mean(),
            )
        )
    precision, area, found, wrong = np.mean(results, axis=0)
    print(f"\n{_FOREIGN} images of other sets in each set, mean of {_TRIALS} draws:")
    print(f"  average precision {precision:.3f}, ROC AUC {area:.3f}, found {found:.3f}, of the set's own {wrong:.3f}")


def main() -> None:
    folder = data_folder() / "photo-sets"
    print(machine())
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    report_quality([Image.open(path).convert("RGB") for path in files[::5]])
    with tempfile.TemporaryDirectory() as workspace:
        imgcluster.embed(folder, workspace=workspace)
        collection = imgcluster.load(workspace)
    sets = np.array([Path(path).parts[0] for path in collection.paths])
    report_far(l2_normalize(collection.vectors), sets)


if __name__ == "__main__":
    main()
