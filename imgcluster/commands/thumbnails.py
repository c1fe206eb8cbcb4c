"""Reads image files as square tiles, for the page and the figures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from imgcluster.images.decode import UnreadableImage, decode_file, quiet_decoders
from imgcluster.images.load import default_workers, in_order
from imgcluster.types import InputSpec, Pixels

__all__ = ["read_tiles"]

_LOG = logging.getLogger(__name__)


def read_tiles(paths: Sequence[Path], side: int) -> Iterator[Pixels | None]:
    """Yield the largest centered square of each file as ``uint8 (side, side, 3)``; None if it cannot be read."""
    spec = InputSpec(width=side, height=side, channels=3, resize="crop")

    def read(path: Path) -> Pixels | None:
        try:
            return decode_file(path, spec).pixels
        except (OSError, UnreadableImage) as error:
            _LOG.debug("no thumbnail of %s: %s", path, error)
            return None

    with quiet_decoders():
        for _, pixels in in_order(read, paths, default_workers()):
            yield pixels
