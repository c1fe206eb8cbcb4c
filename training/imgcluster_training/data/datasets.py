"""Data sets by name, as `ImageSet`s, from local files or downloads. Labels are for scoring only, never for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from imgcluster.errors import UsageError
from imgcluster.images.types import InputSpec
from imgcluster.types import Pixels
from imgcluster_training.data.archives import Labels, read_cifar_binary, read_cifar_python, read_idx, read_image_zip
from imgcluster_training.data.downloads import CIFAR10, FASHION_MNIST, MNIST, Source, fetch
from imgcluster_training.data.images import ArrayImages, Images
from imgcluster_training.data.strokes import draw_strokes
from imgcluster_training.errors import DatasetError

__all__ = ["DATASET_NAMES", "ImageSet", "load_dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """A data set.

    Attributes:
        name: The name in recipes.
        description: A description in words, for cards and metadata.
        license: The license of the images; empty for a folder.
        train: The training images.
        test: The published test images; None without any.
        train_labels: ``int64 (len(train),)``, for scoring only; None without labels.
        test_labels: The same for `test`.
        classes: The names of the labels.
    """

    name: str
    description: str
    license: str
    train: Images
    test: Images | None = None
    train_labels: Labels | None = None
    test_labels: Labels | None = None
    classes: tuple[str, ...] = ()


_DIGITS: Final = tuple("0123456789")
_CLOTHES: Final = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_PARTS: Final = ("train", "test")
_CIFAR_CLASSES: Final = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

# Enough that a denoiser learns strokes in general; flips and turns make eight variants of each.
_STROKES: Final = (3000, 500)


def load_dataset(name: str, *, data_dir: Path | None = None, seed: int = 0) -> ImageSet:
    """Return the data set `name`, from `data_dir`, the download cache or the network, in this order.

    Args:
        name: One of `DATASET_NAMES`.
        data_dir: A folder with the published files, or with a folder of the data set's name that has them.
        seed: For generated images (the strokes).

    Raises:
        UsageError: No data set has this name, or `data_dir` is not a folder.
        DatasetError: Files are damaged, or missing and cannot be downloaded.
    """
    if name not in _LOADERS:
        raise UsageError(f"data set {name!r} is unknown; choose one of {', '.join(_LOADERS)}, or a folder of images")
    if data_dir is not None and not data_dir.is_dir():
        raise UsageError(f"--data-dir {data_dir} is not a folder; give the folder that contains the data set's files")
    return _LOADERS[name](data_dir, seed)


def _idx_set(
    source: Source, data_dir: Path | None, classes: tuple[str, ...], description: str, image_license: str
) -> ImageSet:
    arrays = {}
    for part in ("train", "t10k"):
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            arrays[part, kind[:6]] = read_idx(_find_or_fetch(source, f"{part}-{kind}", data_dir))
        images, labels = arrays[part, "images"], arrays[part, "labels"]
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise DatasetError(
                f"{source.name}: {part} has images of shape {images.shape} and labels of shape {labels.shape}; "
                "download the four files again"
            )
    return ImageSet(
        name=source.name,
        description=description,
        license=image_license,
        train=ArrayImages(arrays["train", "images"][..., np.newaxis]),
        test=ArrayImages(arrays["t10k", "images"][..., np.newaxis]),
        train_labels=arrays["train", "labels"].astype(np.int64),
        test_labels=arrays["t10k", "labels"].astype(np.int64),
        classes=classes,
    )


def _find_or_fetch(source: Source, stem: str, data_dir: Path | None) -> Path:
    """Return an IDX file, gzipped or not, from `data_dir`, else from the cache or the network."""
    if data_dir is not None:
        for folder in (data_dir / source.name, data_dir):
            for name in (f"{stem}.gz", stem):
                if (folder / name).is_file():
                    return folder / name
    return fetch(source, f"{stem}.gz", data_dir)


def _cifar10(data_dir: Path | None, seed: int) -> ImageSet:
    description = "CIFAR-10, 50,000 + 10,000 photographs of 32×32 px"
    for folder in () if data_dir is None else (data_dir / "cifar10", data_dir):
        binary, python = folder / "cifar-10-binary.tar.gz", folder / "cifar-10-python.tar.gz"
        binaries = sorted([*folder.glob("*_batch*.bin"), *folder.glob("cifar-10-batches-bin/*_batch*.bin")])
        pickles = [path for path in sorted(folder.glob("cifar-10-batches-py/*_batch*")) if path.is_file()]
        if binary.is_file() or binaries:
            return _cifar_set(read_cifar_binary(binary if binary.is_file() else binaries), description)
        if python.is_file() or pickles:
            return _cifar_set(read_cifar_python(python if python.is_file() else pickles), description)
        if (folder / "cifar10-jpeg.zip").is_file():
            spec = InputSpec(width=32, height=32, channels=3, resize="stretch")
            parts = read_image_zip(folder / "cifar10-jpeg.zip", spec)
            if {part: classes for part, (_, _, classes) in parts.items()} != dict.fromkeys(_PARTS, _CIFAR_CLASSES):
                raise DatasetError(
                    f"{folder / 'cifar10-jpeg.zip'} does not contain CIFAR-10's classes in train and test"
                )
            # JPEG compression changes pixels slightly: published scores must say so.
            return _cifar_set({key: value[:2] for key, value in parts.items()}, f"{description} (a JPEG copy)")
    return _cifar_set(read_cifar_binary(fetch(CIFAR10, "cifar-10-binary.tar.gz", data_dir)), description)


def _cifar_set(parts: dict[str, tuple[Pixels, Labels]], description: str) -> ImageSet:
    return ImageSet(
        name="cifar10",
        description=description,
        license="no license stated by its authors (Krizhevsky 2009); used for research everywhere",
        train=ArrayImages(parts["train"][0]),
        test=ArrayImages(parts["test"][0]),
        train_labels=parts["train"][1],
        test_labels=parts["test"][1],
        classes=_CIFAR_CLASSES,
    )


def _strokes(data_dir: Path | None, seed: int) -> ImageSet:
    train, test = _STROKES
    return ImageSet(
        name="strokes",
        description=f"{train:,} + {test:,} drawn strokes like signatures, black and white, 224×224 px",
        license="CC0-1.0 (drawn by imgcluster's generator)",
        # Two seeds: the test strokes do not depend on the number of training strokes.
        train=ArrayImages(draw_strokes(train, seed=2 * seed)),
        test=ArrayImages(draw_strokes(test, seed=2 * seed + 1)),
    )


_LOADERS: Final[dict[str, Callable[[Path | None, int], ImageSet]]] = {
    "mnist": lambda data_dir, _: _idx_set(
        MNIST, data_dir, _DIGITS, "MNIST, 60,000 + 10,000 handwritten digits of 28×28 px", "CC-BY-SA-3.0"
    ),
    "fashion-mnist": lambda data_dir, _: _idx_set(
        FASHION_MNIST, data_dir, _CLOTHES, "Fashion-MNIST, 60,000 + 10,000 pictures of clothes of 28×28 px", "MIT"
    ),
    "cifar10": _cifar10,
    "strokes": _strokes,
}
DATASET_NAMES: Final = tuple(_LOADERS)
