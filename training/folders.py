"""Any folder of images as a data set: decoded once into memory where they fit, else again whenever they are needed.

Decoding is `imgcluster.images`': what an encoder is trained on is pixel for pixel what it will be given.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from imgcluster.errors import NoImagesError, UsageError
from imgcluster.formats import HEAD_BYTES, sniff
from imgcluster.images import UnreadableImage, decode, quiet_decoders
from training.datasets import ArrayImages, Images, ImageSet, Indices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcluster.preprocessing import InputSpec, Pixels

__all__ = ["FileImages", "find_images", "load_folder"]

MEMORY_BYTES: Final = 4 * 2**30
"""Decoded images of more than this are decoded anew in every epoch instead of being kept."""


@dataclass(frozen=True, slots=True)
class FileImages:
    """`Images` that are decoded whenever they are taken; memory stays flat in their number."""

    paths: tuple[Path, ...]
    spec: InputSpec

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.spec.height, self.spec.width, self.spec.channels

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: Indices) -> Pixels:
        """Decode these images; one that cannot be read any more since it was found is black."""
        with quiet_decoders(), ThreadPoolExecutor() as pool:
            images = list(pool.map(lambda index: _pixels(self.paths[index], self.spec), indices))
        blank = np.zeros(self.shape, dtype=np.uint8)
        return np.stack([blank if image is None else image for image in images])


def find_images(folder: Path) -> list[Path]:
    """Return the image files below `folder`, in sorted order, told by their first bytes; hidden ones left out."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            if not name.startswith(".") and _is_image(path):
                found.append(path)
    return found


def load_folder(folder: Path, spec: InputSpec, *, memory_bytes: int = MEMORY_BYTES) -> tuple[ImageSet, int]:
    """Return the images below `folder` as a set without labels, and how many files could not be read.

    Every file is decoded once, to know which can be; the names of folders are not looked at.

    Args:
        folder: Walked recursively.
        spec: What every image is brought to.
        memory_bytes: Keep the decoded images where they need no more than this.

    Raises:
        UsageError: It is no folder.
        NoImagesError: It holds no image that can be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder of images; give a folder, or the name of a data set")
    paths = find_images(folder)
    keep = len(paths) * spec.height * spec.width * spec.channels <= memory_bytes
    kept, images = _decode_all(paths, spec, keep=keep)
    if not kept:
        raise NoImagesError(f"{folder} holds no image that can be read; give a folder that does")
    source: Images = ArrayImages(np.stack(images)) if keep else FileImages(tuple(kept), spec)
    size = f"{spec.width}×{spec.height} px"
    described = ImageSet(
        name=folder.resolve().name,
        description=f"{len(kept):,} images of the user's folder {folder.resolve().name!r}, brought to {size}",
        licence="that of the user's images",
        train=source,
    )
    return described, len(paths) - len(kept)


def _decode_all(paths: Sequence[Path], spec: InputSpec, *, keep: bool) -> tuple[list[Path], list[Pixels]]:
    readable, images = [], []
    with quiet_decoders(), ThreadPoolExecutor() as pool:
        for path, image in zip(paths, pool.map(lambda path: _pixels(path, spec), paths), strict=True):
            if image is not None:
                readable.append(path)
                if keep:
                    images.append(image)
    return readable, images


def _pixels(path: Path, spec: InputSpec) -> Pixels | None:
    try:
        return decode(path.read_bytes(), spec).pixels
    except (OSError, UnreadableImage):
        return None


def _is_image(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return sniff(file.read(HEAD_BYTES), path.suffix.lower()).format is not None
    except OSError:
        return False
