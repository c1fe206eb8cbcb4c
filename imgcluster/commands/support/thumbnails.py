"""Square tiles of images, for the page and the figures: thumbnails made by `embed`, else from the files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from imgcluster.fileio.in_threads import in_order
from imgcluster.images.decode import UnreadableImage, decode_file, quiet_decoders
from imgcluster.images.load import default_workers
from imgcluster.images.thumbnail import THUMBNAIL_SIDE, read_thumbnail
from imgcluster.images.types import InputSpec
from imgcluster.types import Pixels

__all__ = ["read_tiles"]

_LOG = logging.getLogger(__name__)


def read_tiles(paths: Sequence[Path], side: int, thumbnails: Sequence[bytes] = ()) -> Iterator[Pixels | None]:
    """Yield the largest centered square of each image as ``uint8 (side, side, 3)``; None if it cannot be read.

    Args:
        paths: The files.
        side: Pixels of a tile's side.
        thumbnails: The stored thumbnail of each image, empty where there is none; used for tiles of their size at most.
    """
    spec = InputSpec(width=side, height=side, channels=3, resize="crop")
    stored = thumbnails if thumbnails and side <= THUMBNAIL_SIDE else [b""] * len(paths)

    def read(source: tuple[Path, bytes]) -> Pixels | None:
        path, thumbnail = source
        tile = read_thumbnail(thumbnail, side) if thumbnail else None
        if tile is not None:
            return tile
        try:
            return decode_file(path, spec).pixels
        except (OSError, UnreadableImage) as error:
            _LOG.debug("no thumbnail of %s: %s", path, error)
            return None

    with quiet_decoders():
        for _, pixels in in_order(read, zip(paths, stored, strict=True), default_workers()):
            yield pixels
