"""Data sets by name, as `ImageSet`s: where their files are looked for and what they are made into.

Reading the files is the business of `archives`, fetching them of `downloads`; folders of one's own are in
`folders`, the strokes in `strokes`. Labels are carried for scoring only: nothing that trains reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from imgcluster.errors import UsageError
from imgcluster.types import InputSpec, Pixels
from training.archives import Labels, read_cifar_binary, read_cifar_python, read_idx, read_image_zip
from training.downloads import CIFAR10, FASHION_MNIST, MNIST, Source, fetch
from training.errors import DatasetError
from training.strokes import draw_strokes

__all__ = ["DATASET_NAMES", "ArrayImages", "ImageSet", "Images", "Indices", "load_dataset"]

Indices = npt.NDArray[np.int64]


class Images(Protocol):
    """Images that can be had in any order: an array in memory, or files decoded when they are asked for."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(height, width, channels)`` of every image."""

    def __len__(self) -> int: ...

    def take(self, indices: Indices) -> Pixels:
        """Return the images of these numbers, ``uint8 (len(indices), height, width, channels)``."""


@dataclass(frozen=True, slots=True)
class ArrayImages:
    """`Images` in memory, as bytes: a quarter of what floats would need, and faster to gather."""

    pixels: Pixels

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = self.pixels.shape[1:]
        return height, width, channels

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, indices: Indices) -> Pixels:
        return np.asarray(self.pixels[indices])


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """A data set.

    Attributes:
        name: What it is called in recipes.
        description: What it is, in words, for cards and metadata.
        licence: The licence of the images, in words.
        train: The images to train on.
        test: The images held out by those who published it; None where there are none.
        train_labels: ``int64 (len(train),)``, for scoring only; None where there are none.
        test_labels: The same for `test`.
        classes: What the labels mean.
    """

    name: str
    description: str
    licence: str
    train: Images
    test: Images | None = None
    train_labels: Labels | None = None
    test_labels: Labels | None = None
    classes: tuple[str, ...] = ()


_DIGITS: Final = tuple("0123456789")
_CLOTHES: Final = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_CIFAR_CLASSES: Final = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

# Enough different strokes that a denoiser learns strokes and not these; flips and turns make eight of each.
_STROKES: Final = (3000, 500)


def load_dataset(name: str, *, data_dir: Path | None = None, seed: int = 0) -> ImageSet:
    """Return the data set `name`, from `data_dir`, the download cache or the network, in this order.

    Args:
        name: One of `DATASET_NAMES`.
        data_dir: A folder that holds the published files, in it or in a folder of the data set's name in it.
        seed: Of what is drawn and not read (the strokes).

    Raises:
        UsageError: No data set has this name, or `data_dir` is no folder.
        DatasetError: Files are missing and cannot be downloaded, or damaged.
    """
    if name not in _LOADERS:
        raise UsageError(f"data set {name!r} is unknown; choose one of {', '.join(_LOADERS)}, or a folder of images")
    if data_dir is not None and not data_dir.is_dir():
        raise UsageError(f"--data-dir {data_dir} is no folder; name the one that holds the data set's files")
    return _LOADERS[name](data_dir, seed)


def _mnist(data_dir: Path | None, seed: int) -> ImageSet:
    return _idx_set(MNIST, data_dir, _DIGITS, "MNIST, 60,000 + 10,000 handwritten digits of 28×28 px", "CC-BY-SA-3.0")


def _fashion_mnist(data_dir: Path | None, seed: int) -> ImageSet:
    return _idx_set(
        FASHION_MNIST,
        data_dir,
        _CLOTHES,
        "Fashion-MNIST, 60,000 + 10,000 pictures of clothes of 28×28 px",
        "MIT",
    )


def _idx_set(
    source: Source, data_dir: Path | None, classes: tuple[str, ...], description: str, licence: str
) -> ImageSet:
    arrays = {}
    for part in ("train", "t10k"):
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            arrays[part, kind[:6]] = read_idx(_find_or_fetch(source, f"{part}-{kind}", data_dir))
        images, labels = arrays[part, "images"], arrays[part, "labels"]
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise DatasetError(
                f"{source.name}: {part} has images of shape {images.shape} and labels of shape {labels.shape}; "
                "fetch the four files again"
            )
    return ImageSet(
        name=source.name,
        description=description,
        licence=licence,
        train=ArrayImages(arrays["train", "images"][..., np.newaxis]),
        test=ArrayImages(arrays["t10k", "images"][..., np.newaxis]),
        train_labels=arrays["train", "labels"].astype(np.int64),
        test_labels=arrays["t10k", "labels"].astype(np.int64),
        classes=classes,
    )


def _find_or_fetch(source: Source, stem: str, data_dir: Path | None) -> Path:
    """Find an IDX file, gzipped or not, in `data_dir`; without one, in the cache or the network."""
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
            if any(classes != _CIFAR_CLASSES for _, _, classes in parts.values()) or set(parts) != {
                "train",
                "test",
            }:
                raise DatasetError(
                    f"{folder / 'cifar10-jpeg.zip'} does not hold train and test with CIFAR-10's classes"
                )
            # JPEG has changed the pixels a little: figures made from it must say so.
            return _cifar_set({key: value[:2] for key, value in parts.items()}, f"{description} (a JPEG copy)")
    return _cifar_set(read_cifar_binary(fetch(CIFAR10, "cifar-10-binary.tar.gz", data_dir)), description)


def _cifar_set(parts: dict[str, tuple[Pixels, Labels]], description: str) -> ImageSet:
    return ImageSet(
        name="cifar10",
        description=description,
        licence="no licence stated by its authors (Krizhevsky 2009); used for research everywhere",
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
        licence="CC0-1.0 (drawn by imgcluster's generator)",
        # Two streams: the test strokes stay the same whatever the number of training strokes.
        train=ArrayImages(draw_strokes(train, seed=2 * seed)),
        test=ArrayImages(draw_strokes(test, seed=2 * seed + 1)),
    )


_LOADERS: Final[dict[str, Callable[[Path | None, int], ImageSet]]] = {
    "mnist": _mnist,
    "fashion-mnist": _fashion_mnist,
    "cifar10": _cifar10,
    "strokes": _strokes,
}
DATASET_NAMES: Final = tuple(_LOADERS)
