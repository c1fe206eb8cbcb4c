"""A folder of images as a data set: decoded once into memory if they fit, else again whenever they are needed.

`imgcluster` finds and decodes the images, so that an encoder is trained on exactly the pixels that it gets in use.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from imgcluster.errors import NoImagesError, UsageError
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.find import Finder
from imgcluster.images.found import FoundFile, UnreadablePath
from imgcluster.images.load import Loaded, NotAnImage, read_image
from imgcluster.images.readers import read_each
from imgcluster.images.types import InputSpec
from imgcluster.machine import processors
from imgcluster.types import Pixels
from imgcluster.workspace.folder import is_workspace
from imgcluster_training.data.datasets import ImageSet
from imgcluster_training.data.images import ArrayImages, Indices, pixel_digest
from imgcluster_training.result_files import is_picture, is_training_folder

__all__ = ["MEMORY_BYTES", "FileImages", "load_folder"]

MEMORY_BYTES: Final = 4 * 2**30
"""If the decoded images need more than this, they are decoded again in every epoch."""


@dataclass(frozen=True, slots=True)
class FileImages:
    """`Images` that are decoded whenever they are taken; memory does not grow with their number.

    `pixel_digests` holds the digest of each image as it was first decoded.
    """

    files: tuple[FoundFile, ...]
    spec: InputSpec
    pixel_digests: tuple[bytes, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.spec.height, self.spec.width, self.spec.channels

    def __len__(self) -> int:
        return len(self.files)

    def take(self, indices: Indices) -> Pixels:
        """Decode these images; one that has become unreadable is black.

        That is in this process: the same files were read before, within the limits of time and memory.
        """
        result = np.zeros((len(indices), *self.shape), dtype=np.uint8)
        chosen = [self.files[index] for index in indices]
        with quiet_decoders(), ThreadPoolExecutor(processors()) as pool:
            for row, answer in enumerate(pool.map(lambda file: read_image(file, self.spec), chosen)):
                if isinstance(answer, Loaded):
                    result[row] = answer.image.pixels
        return result

    def digests(self, indices: Indices) -> list[bytes]:
        return [self.pixel_digests[index] for index in indices]


def load_folder(folder: Path, spec: InputSpec, *, memory_bytes: int = MEMORY_BYTES) -> tuple[ImageSet, int]:
    """Return the images below `folder` as a set without labels, and the number of images that could not be read.

    Every file is decoded once to find out which are readable. Names of subfolders are ignored, and so are workspaces
    and the pictures that earlier trainings wrote into the folder.

    Args:
        folder: Searched recursively, in sorted order.
        spec: Size and channels of the decoded images.
        memory_bytes: Keep the decoded images in memory if they need at most this.

    Raises:
        UsageError: It is not a folder.
        NoImagesError: It has no readable image.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give a folder of images, or the name of a data set")
    readable: list[FoundFile] = []
    digests: list[bytes] = []
    # Results in this folder are not images of it.
    finder = Finder(
        paths=[folder],
        skips=lambda path: is_training_folder(path) or is_workspace(path),
        takes=lambda path: not is_picture(path),
    )
    found = list(finder.find())
    files = [item for item in found if isinstance(item, FoundFile)]
    shape = (spec.height, spec.width, spec.channels)
    # Rows that are never written to take no memory.
    pixels = np.empty((min(len(files), memory_bytes // math.prod(shape)), *shape), dtype=np.uint8)
    unreadable = sum(isinstance(item, UnreadablePath) and item.is_image for item in found)
    with closing(read_each(files, spec)) as answers:
        for file, answer in zip(files, answers, strict=True):
            if isinstance(answer, Loaded):
                if len(readable) < len(pixels):
                    pixels[len(readable)] = answer.image.pixels
                else:
                    # All or nothing: with a part in memory, every epoch would still decode the rest.
                    pixels = pixels[:0].copy()
                readable.append(file)
                digests.append(pixel_digest(answer.image.pixels))
            elif not isinstance(answer, NotAnImage):
                unreadable += 1
    if not readable:
        raise NoImagesError(f"{folder} contains no readable image; give a folder of images")
    images = ArrayImages(pixels[: len(readable)]) if len(pixels) else FileImages(tuple(readable), spec, tuple(digests))
    name = folder.resolve().name
    described = ImageSet(
        name=name,
        description=f"{len(readable):,} images of the folder {name!r}, resized to {spec.width}×{spec.height} px",
        license="",
        train=images,
    )
    return described, unreadable
