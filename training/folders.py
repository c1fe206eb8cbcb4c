"""Any folder of images as a data set: decoded once into memory where they fit, else again whenever they are needed.

Finding and decoding are `imgcluster`'s: what an encoder is trained on is pixel for pixel what it will be given.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from imgcluster.errors import NoImagesError, UsageError
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder, FoundFile
from imgcluster.images.load import Loaded, NotAnImage, default_workers, in_order, read_image
from imgcluster.types import InputSpec, Pixels
from training.datasets import ArrayImages, ImageSet, Indices

__all__ = ["MEMORY_BYTES", "FileImages", "load_folder"]

MEMORY_BYTES: Final = 4 * 2**30
"""Decoded images of more than this are decoded anew in every epoch instead of being kept."""


@dataclass(frozen=True, slots=True)
class FileImages:
    """`Images` that are decoded whenever they are taken; memory stays flat in their number."""

    files: tuple[FoundFile, ...]
    spec: InputSpec

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.spec.height, self.spec.width, self.spec.channels

    def __len__(self) -> int:
        return len(self.files)

    def take(self, indices: Indices) -> Pixels:
        """Decode these images; one that cannot be read any more since it was found is black."""
        result = np.zeros((len(indices), *self.shape), dtype=np.uint8)
        chosen = [self.files[index] for index in indices]
        with quiet_decoders(), ThreadPoolExecutor(default_workers()) as pool:
            for place, answer in enumerate(pool.map(lambda file: read_image(file, self.spec), chosen)):
                if isinstance(answer, Loaded):
                    result[place] = answer.image.pixels
        return result


def load_folder(folder: Path, spec: InputSpec, *, memory_bytes: int = MEMORY_BYTES) -> tuple[ImageSet, int]:
    """Return the images below `folder` as a set without labels, and how many images could not be read.

    Every file is decoded once, to know which can be; the names of folders are not looked at.

    Args:
        folder: Walked recursively, in sorted order.
        spec: What every image is brought to.
        memory_bytes: Keep the decoded images where they need no more than this.

    Raises:
        UsageError: It is no folder.
        NoImagesError: It holds no image that can be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder of images; give a folder, or the name of a data set")
    readable: list[FoundFile] = []
    kept: list[Pixels] = []
    used = unreadable = 0
    found = (item for item in Finder(paths=[folder]).find() if isinstance(item, FoundFile))
    with quiet_decoders():
        for file, answer in in_order(lambda file: read_image(file, spec), found, default_workers()):
            if isinstance(answer, Loaded):
                readable.append(file)
                used += answer.image.pixels.nbytes
                # Past the limit nothing is kept: half of the images in memory would help nobody.
                if used <= memory_bytes:
                    kept.append(answer.image.pixels)
                else:
                    kept.clear()
            elif not isinstance(answer, NotAnImage):
                unreadable += 1
    if not readable:
        raise NoImagesError(f"{folder} holds no image that can be read; give a folder that does")
    images = ArrayImages(np.stack(kept)) if kept else FileImages(tuple(readable), spec)
    name = folder.resolve().name
    described = ImageSet(
        name=name,
        description=f"{len(readable):,} images of the folder {name!r}, brought to {spec.width}×{spec.height} px",
        licence="that of the user's images",
        train=images,
    )
    return described, unreadable
