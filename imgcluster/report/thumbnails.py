"""Small pictures for the page, as data URIs."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from imgcluster.images import UnreadableImage, quiet_decoders, thumbnail
from imgcluster.reading import default_workers, in_order

__all__ = ["thumbnails"]

_LOG = logging.getLogger(__name__)

# Shown at about half of this, so that screens with two pixels per point are sharp too.
_SIDE: Final = 192
_QUALITY: Final = 60


def thumbnails(paths: Sequence[Path]) -> Iterator[str]:
    """Yield a WebP data URI for each image file, in order; "" where it cannot be read."""
    with quiet_decoders():
        for _, uri in in_order(_data_uri, paths, default_workers()):
            yield uri


def _data_uri(path: Path) -> str:
    try:
        picture = Image.fromarray(thumbnail(path.read_bytes(), _SIDE))
    except (OSError, UnreadableImage) as error:
        _LOG.debug("no thumbnail of %s: %s", path, error)
        return ""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
