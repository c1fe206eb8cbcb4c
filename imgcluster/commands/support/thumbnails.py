"""Square tiles of images, for the page and the figures: thumbnails made by `embed`, else from the files."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from imgcluster.fileio.in_threads import in_order
from imgcluster.images.decode import quiet_decoders
from imgcluster.images.found import found_file
from imgcluster.images.load import Content, Loaded
from imgcluster.images.readers import read_each
from imgcluster.images.thumbnail import THUMBNAIL_SIDE, read_thumbnail
from imgcluster.images.types import InputSpec
from imgcluster.machine import processors
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
    without = [path for path, thumbnail in zip(paths, stored, strict=True) if not thumbnail]
    small = in_order(lambda data: read_thumbnail(data, side), filter(None, stored), processors())
    with quiet_decoders(), contextlib.closing(read_each(map(found_file, without), spec)) as contents:
        files = zip(without, contents, strict=True)
        for thumbnail in stored:
            yield next(small)[1] if thumbnail else _tile(*next(files))


def _tile(path: Path, content: Content) -> Pixels | None:
    if isinstance(content, Loaded):
        return content.image.pixels
    _LOG.debug("no thumbnail of %s: %s", path, content)
    return None
