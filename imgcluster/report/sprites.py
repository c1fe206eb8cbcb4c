"""Thumbnails of the page: many tiles in one WebP sheet, within a number of bytes."""

from __future__ import annotations

import io
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["MAX_BYTES", "Sheet", "Tile", "make_sheets", "tile_side"]

Tile = npt.NDArray[np.uint8]
"""A square thumbnail, ``uint8 (side, side, 3)``."""

MAX_BYTES: Final = 7_500_000
"""Bytes of all sheets together: with data and base64, a page of 10,000 thumbnails then has less than 15 MB."""

# Larger textures are slow to upload on old graphics cards.
_SHEET_SIDE: Final = 1024
# Tried in this order until a sheet fits into its share of the bytes.
_QUALITIES: Final = (72, 60, 48, 36, 24, 12, 4, 0)
_SIDES: Final = ((1_500, 128), (4_000, 96))
_SMALLEST_SIDE: Final = 64
_BLANK: Final = 128
_ENCODERS: Final = 2
# Half the time of the default (4) for 3 % more bytes (64 photographs of 128 px, quality 72).
_EFFORT: Final = 2


@dataclass(frozen=True, slots=True)
class Sheet:
    """A WebP image of square tiles.

    Attributes:
        side: Pixels of a tile.
        columns: Tiles per row and per column of a full sheet.
        webp: The file.
        missing: Positions of the tiles that were None, which are blank.
    """

    side: int
    columns: int
    webp: bytes
    missing: tuple[int, ...]


def tile_side(count: int, largest: int) -> int:
    """Return the pixels of a tile's side for `count` images, the largest of which has a longer side of `largest`."""
    side = next((side for most, side in _SIDES if count <= most), _SMALLEST_SIDE)
    return max(8, min(side, largest))


def make_sheets(tiles: Iterable[Tile | None], count: int, side: int, *, max_bytes: int = MAX_BYTES) -> Iterator[Sheet]:
    """Yield sheets that contain `tiles` in order.

    Args:
        tiles: `count` tiles of `side` pixels; None is a blank tile.
        count: Number of tiles, which decides on each sheet's share of `max_bytes`.
        side: Pixels of a tile's side.
        max_bytes: Bytes of all sheets; the quality is reduced until each sheet fits into its share.
    """
    columns = _SHEET_SIDE // side
    tiles = iter(tiles)
    # WebP is encoded without Python's lock, beside the reading of the next tiles.
    with ThreadPoolExecutor(_ENCODERS) as pool:
        pending: deque[Future[Sheet]] = deque()
        while part := list(itertools.islice(tiles, columns * columns)):
            pending.append(pool.submit(_make_sheet, part, side, columns, max_bytes * len(part) // count))
            if len(pending) > _ENCODERS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _make_sheet(tiles: Sequence[Tile | None], side: int, columns: int, max_bytes: int) -> Sheet:
    rows = -(-len(tiles) // columns)
    canvas = np.full((rows * side, min(columns, len(tiles)) * side, 3), _BLANK, dtype=np.uint8)
    for position, tile in enumerate(tiles):
        if tile is not None:
            top, left = position // columns * side, position % columns * side
            canvas[top : top + side, left : left + side] = tile
    image = Image.fromarray(canvas)
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=_EFFORT)
        if buffer.tell() <= max_bytes:
            break
    missing = tuple(position for position, tile in enumerate(tiles) if tile is None)
    return Sheet(side, columns, buffer.getvalue(), missing)
