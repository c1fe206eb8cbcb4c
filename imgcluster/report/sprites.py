"""Small pictures for the page: many in one WebP sheet, made in one pass over the files, within a given size."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from imgcluster.images.decode import UnreadableImage, decode, quiet_decoders
from imgcluster.images.load import default_workers, in_order
from imgcluster.types import InputSpec, Pixels

__all__ = ["Sheet", "sheets", "tile_side"]

_LOG = logging.getLogger(__name__)

# Larger textures than this are slow to upload on old graphics cards.
_SHEET_PIXELS: Final = 1024
# Tried from the first on until a sheet fits into its share of the page.
_QUALITIES: Final = (72, 60, 48, 36, 24, 12, 4, 0)
# What the pictures of the page may take together: with the library, the data and base64, 10,000 make less than 15 MB.
_BUDGET: Final = 7_500_000
_SIDES: Final = ((1_500, 128), (4_000, 96))
_SMALLEST_SIDE: Final = 64


@dataclass(frozen=True, slots=True)
class Sheet:
    """Square tiles of `side` pixels, `columns` in a row, as the bytes of a WebP file; `missing` are the tiles (by
    their place) whose file could not be read, and which are blank."""

    side: int
    columns: int
    webp: bytes
    missing: tuple[int, ...]


def tile_side(count: int, largest: int) -> int:
    """Return the side of the tiles of `count` pictures, the largest of which has a longer side of `largest` pixels."""
    side = next((side for most, side in _SIDES if count <= most), _SMALLEST_SIDE)
    return max(8, min(side, largest))


def sheets(
    paths: Sequence[Path], side: int, *, budget: int = _BUDGET, step: Callable[[int], None] = lambda done: None
) -> Iterator[Sheet]:
    """Yield sheets that hold the pictures of `paths` in order: their largest centred squares, upright, in sRGB.

    Args:
        paths: The files; what cannot be read is a blank tile.
        side: Pixels of a tile.
        budget: Bytes that all sheets together may take; the quality falls until each fits into its share.
        step: Called with the number of files done.
    """
    columns = _SHEET_PIXELS // side
    spec = InputSpec(width=side, height=side, channels=3, resize="crop")

    def tile(path: Path) -> Pixels | None:
        try:
            return decode(path.read_bytes(), spec).pixels
        except (OSError, UnreadableImage) as error:
            _LOG.debug("no thumbnail of %s: %s", path, error)
            return None

    with quiet_decoders():
        tiles: list[Pixels | None] = []
        for done, (_, pixels) in enumerate(in_order(tile, paths, default_workers()), start=1):
            tiles.append(pixels)
            if len(tiles) == columns * columns or done == len(paths):
                yield _sheet(tiles, side, columns, budget * len(tiles) // len(paths))
                tiles = []
            step(done)


def _sheet(tiles: Sequence[Pixels | None], side: int, columns: int, most: int) -> Sheet:
    rows = -(-len(tiles) // columns)
    canvas = np.full((rows * side, min(columns, len(tiles)) * side, 3), 128, dtype=np.uint8)
    for place, pixels in enumerate(tiles):
        if pixels is not None:
            top, left = place // columns * side, place % columns * side
            canvas[top : top + side, left : left + side] = pixels
    picture = Image.fromarray(canvas)
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= most:
            break
    missing = tuple(place for place, pixels in enumerate(tiles) if pixels is None)
    return Sheet(side, columns, buffer.getvalue(), missing)
