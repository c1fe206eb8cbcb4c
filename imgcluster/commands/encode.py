"""`Encoder` for use from Python: it accepts files, Pillow images and arrays of any size."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.errors import NoImagesError, UsageError
from imgcluster.fileio.in_threads import in_order
from imgcluster.fileio.path_text import to_text
from imgcluster.images.decode import UnreadableImage, decode_picture, quiet_decoders
from imgcluster.images.found import found_file
from imgcluster.images.load import Content, Large, Loaded, Skipped, read_image
from imgcluster.images.types import InputSpec
from imgcluster.machine import processors
from imgcluster.types import Pixels

__all__ = ["AnyImage", "Encoder", "pixels_of"]

AnyImage: TypeAlias = "str | os.PathLike[str] | Image.Image | Pixels"
"""An image file, a Pillow image, or an array ``uint8 (height, width)`` or ``(height, width, channels)``."""

_CHANNELS: Final = (1, 3, 4)


class Encoder(PixelEncoder):
    """An encoder that accepts images of any size; see `imgcluster.encoders.encoder.PixelEncoder` for everything else.

    >>> encoder = Encoder("photos")  # doctest: +SKIP
    >>> encoder.encode("beach.jpg").shape  # doctest: +SKIP
    (1, 2688)
    """

    def encode(self, images: AnyImage | Iterable[AnyImage]) -> npt.NDArray[np.float32]:
        """Return the embeddings of images, ``float32 (n, embedding_size)``; of one image, ``(1, embedding_size)``.

        Files and Pillow images are turned upright, converted to the encoder's channels, and resized by its rule, as
        `imgcluster.embed` does. So are arrays, unless they have exactly the encoder's height, width and channels: those
        are taken as they are.

        Args:
            images: One image or several: paths, Pillow images or ``uint8`` arrays ``(height, width)`` or ``(height,
                width, channels)`` with 1 (gray), 3 (RGB) or 4 (RGBA) channels, also mixed; or one array ``(n, height,
                width, channels)``.

        Raises:
            UsageError: A file does not exist, an array has another shape or type, or an item is something else.
            NoImagesError: A file or Pillow image cannot be read.
            EncoderError: The encoder fails, or there is no memory even for one image.
        """
        return self._run_any(images, super().encode)

    def class_scores(self, images: AnyImage | Iterable[AnyImage]) -> npt.NDArray[np.float32]:
        """Return the scores of the encoder's classes, ``float32 (n, classes)``, of images as `encode` takes them.

        Those of `photos` and `photos-fast` are logits of the 1,000 classes of ImageNet, sorted by their WordNet
        numbers: 0 is tench, 999 is toilet tissue.

        Raises:
            UsageError: The encoder has no class scores, or as in `encode`.
            NoImagesError: A file or Pillow image cannot be read.
            EncoderError: The encoder fails, or there is no memory even for one image.
        """
        return self._run_any(images, super().class_scores)

    def _run_any(
        self, images: AnyImage | Iterable[AnyImage], run: Callable[[Pixels], npt.NDArray[np.float32]]
    ) -> npt.NDArray[np.float32]:
        spec = self.info.input_spec
        if isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.shape[1:] == _shape(spec):
            return run(images)
        items: Iterable[AnyImage]
        if isinstance(images, str | os.PathLike | Image.Image) or (isinstance(images, np.ndarray) and images.ndim < 4):
            items = [images]
        else:
            items = images
        with quiet_decoders():
            results = in_order(lambda item: _pixels(item, spec), _loaded(items), processors())
            pixels = (result for _, result in results)
            vectors = [run(batch) for batch in _batches(pixels, self.batch_size)]
        return np.concatenate(vectors) if vectors else run(np.empty((0, *_shape(spec)), dtype=np.uint8))


def _loaded(images: Iterable[AnyImage]) -> Iterator[AnyImage]:
    """Yield images; Pillow images are loaded here, because two threads must not load the same one."""
    for image in images:
        if isinstance(image, Image.Image):
            # A damaged image fails again where its error is explained.
            with contextlib.suppress(Exception):
                image.load()
        yield image


def _batches(pixels: Iterable[Pixels], size: int) -> Iterator[Pixels]:
    batch: list[Pixels] = []
    for image in pixels:
        batch.append(image)
        if len(batch) == size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def _pixels(image: AnyImage, spec: InputSpec) -> Pixels:
    """Return one image as ``uint8 (height, width, channels)`` in the input size of `spec`."""
    if isinstance(image, str | os.PathLike):
        return _read(image, spec)
    if isinstance(image, np.ndarray):
        if image.dtype == np.uint8 and image.shape == _shape(spec):
            return image
        image = _to_picture(image)
    if not isinstance(image, Image.Image):
        raise UsageError(
            f"{type(image).__name__} is not an image; give a path, a Pillow image, or a uint8 array of shape (height, "
            "width) or (height, width, channels)"
        )
    try:
        return decode_picture(image, spec).pixels
    except UnreadableImage as reason:
        raise NoImagesError(f"a Pillow image cannot be read: {reason}") from None


def _read(path: str | os.PathLike[str], spec: InputSpec) -> Pixels:
    try:
        os.stat(path)
    except OSError as error:
        raise UsageError(f"no such file: {to_text(path)} ({error.strerror})") from None
    if os.path.isdir(path):
        raise UsageError(f"{to_text(path)} is a folder, not an image file; imgcluster.embed reads folders")
    return pixels_of(read_image(found_file(path), spec), path)


def pixels_of(content: Content | Large, path: str | os.PathLike[str]) -> Pixels:
    """Return the pixels of what was read from a file.

    Raises:
        NoImagesError: It could not be read.
    """
    if isinstance(content, Loaded):
        return content.image.pixels
    reason = content.reason if isinstance(content, Skipped) else "it is not an image"
    raise NoImagesError(f"{to_text(path)} cannot be read: {reason}")


def _to_picture(image: npt.NDArray[np.uint8]) -> Image.Image:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in _CHANNELS):
        raise UsageError(
            f"an array of type {image.dtype} and shape {image.shape} is not an image; give uint8 of shape (height, "
            "width) or (height, width, channels) with 1, 3 or 4 channels, or several as (n, height, width, channels)"
        )
    if 0 in image.shape:
        raise UsageError(f"an array of shape {image.shape} has no pixels")
    return Image.fromarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)


def _shape(spec: InputSpec) -> tuple[int, int, int]:
    return spec.height, spec.width, spec.channels
