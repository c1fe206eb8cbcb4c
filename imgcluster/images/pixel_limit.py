"""The limit on the number of pixels, for decoders that do not go through Pillow's."""

from __future__ import annotations

from PIL import Image

__all__ = ["refuse_too_large"]


def refuse_too_large(width: int, height: int) -> None:
    """Check the size of an image, in pixels, against the limit that Pillow applies to other formats.

    Raises:
        PIL.Image.DecompressionBombError: It has more than twice `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > 2 * limit:
        raise Image.DecompressionBombError(f"image size ({width * height} pixels) exceeds limit of {2 * limit} pixels")
