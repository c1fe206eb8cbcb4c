"""Copies of a photograph as people make them: twelve kinds of change, each light, medium and strong.

Also what is no copy: crops that share little, and a simulated second photograph of the same scene.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

__all__ = ["CHANGES", "STRENGTHS", "changed", "distant_crops", "second_photograph"]

STRENGTHS: Final = ("light", "medium", "strong")

_Random = np.random.Generator
_TURNS: Final = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


def changed(picture: Image.Image, kind: str, strength: int, random: _Random) -> tuple[bytes, str]:
    """Return the file of a changed RGB picture and its extension; `strength` is 0, 1 or 2."""
    result = CHANGES[kind](picture, strength, random)
    return result if isinstance(result, tuple) else (_file(result), ".jpg")


def distant_crops(picture: Image.Image) -> list[Image.Image]:
    """Return crops that share at most a sixth of their area: two halves, and two of 60 % of the sides."""
    width, height = picture.size
    across, down = round(width * 0.6), round(height * 0.6)
    boxes = [
        (0, 0, width // 2, height),
        (width - width // 2, 0, width, height),
        (0, 0, across, down),
        (width - across, height - down, width, height),
    ]
    return [picture.crop(box) for box in boxes]


def second_photograph(picture: Image.Image, random: _Random) -> Image.Image:
    """Return the scene as from two steps aside: near and far parts move differently, and the frame moves."""
    width, height = picture.size
    step = 0.03 * min(width, height)
    columns, rows = 8, 6
    grid = random.normal(0, step / 2, (rows + 1, columns + 1, 2)) + random.normal(0, step, 2)
    xs = np.linspace(0, width, columns + 1)
    ys = np.linspace(0, height, rows + 1)
    mesh = []
    for row in range(rows):
        for column in range(columns):
            box = tuple(round(value) for value in (xs[column], ys[row], xs[column + 1], ys[row + 1]))
            corners = ((row, column), (row + 1, column), (row + 1, column + 1), (row, column + 1))
            quad = [value for y, x in corners for value in (xs[x] + grid[y, x, 0], ys[y] + grid[y, x, 1])]
            mesh.append((box, tuple(quad)))
    # Mirrored edges, so that the moved frame shows something new there.
    wide = np.pad(np.asarray(picture), ((height, height), (width, width), (0, 0)), mode="symmetric")
    mesh = [(box, tuple(v + (width, height)[at % 2] for at, v in enumerate(quad))) for box, quad in mesh]
    moved = Image.fromarray(wide).transform(picture.size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)
    return _noisy(ImageEnhance.Brightness(moved).enhance(random.uniform(0.92, 1.08)), 3.0, random)


def _file(picture: Image.Image, file_format: str = "JPEG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, file_format, **({"quality": 90} if file_format == "JPEG" and not options else options))
    return stream.getvalue()


def _size(picture: Image.Image, strength: int, random: _Random) -> Image.Image:
    factor = (0.75, 0.5, 0.25)[strength]
    size = tuple(max(48, round(side * factor)) for side in picture.size)
    return picture.resize(size, Image.Resampling.LANCZOS)


def _quality(picture: Image.Image, strength: int, random: _Random) -> tuple[bytes, str]:
    return _file(picture, quality=(70, 40, 12)[strength]), ".jpg"


def _format(picture: Image.Image, strength: int, random: _Random) -> tuple[bytes, str]:
    if strength == 0:
        return _file(picture, "PNG"), ".png"
    if strength == 1:
        return _file(picture, "WEBP", quality=60), ".webp"
    return _file(picture.quantize(32), "GIF"), ".gif"


def _crop(picture: Image.Image, strength: int, random: _Random) -> Image.Image:
    width, height = picture.size
    removed = (0.04, 0.10, 0.20)[strength]
    left, upper = random.uniform(0, removed * width), random.uniform(0, removed * height)
    return picture.crop(
        (round(left), round(upper), round(left + (1 - removed) * width), round(upper + (1 - removed) * height))
    )


def _watermark(picture: Image.Image, strength: int, random: _Random) -> Image.Image:
    width, height = picture.size
    layer = Image.new("L", picture.size)
    draw = ImageDraw.Draw(layer)
    text, side = "© example.org", min(picture.size)
    if strength == 0:
        draw.text((width * 0.97, height * 0.97), text, 160, ImageFont.load_default(side * 0.05), anchor="rs")
    elif strength == 1:
        draw.text((width / 2, height * random.uniform(0.3, 0.7)), text, 130, ImageFont.load_default(side * 0.11), "mm")
    else:
        for down in np.linspace(0.15, 0.85, 4):
            draw.text((width / 2, height * down), f"{text}  " * 2, 150, ImageFont.load_default(side * 0.1), "mm")
    return Image.composite(Image.new("RGB", picture.size, (255, 255, 255)), picture, layer)


def _border(picture: Image.Image, strength: int, random: _Random) -> Image.Image:
    width, height = picture.size
    edge = round((0.02, 0.05, 0.10)[strength] * min(picture.size)) or 1
    color = ((0, 0, 0), (255, 255, 255), (128, 128, 128))[random.integers(3)]
    framed = Image.new("RGB", (width + 2 * edge, height + 2 * edge), color)
    framed.paste(picture, (edge, edge))
    return framed


def _brightness(picture: Image.Image, strength: int, random: _Random) -> Image.Image:
    factor = (1.1, 1.25, 1.6)[strength]
    return ImageEnhance.Brightness(picture).enhance(factor if random.random() < 0.5 else 1 / factor)


def _contrast(picture: Image.Image, strength: int, random: _Random) -> Image.Image:
    factor = (1.1, 1.3, 1.7)[strength]
    return ImageEnhance.Contrast(picture).enhance(factor if random.random() < 0.5 else 1 / factor)


def _color(picture: Image.Image, strength: int, random: _Random) -> Image.Image:
    """Change saturation and white balance; a strong change leaves gray."""
    if strength == 2:
        return picture.convert("L").convert("RGB")
    warm = (0.04, 0.10)[strength] * (1 if random.random() < 0.5 else -1)
    saturated = ImageEnhance.Color(picture).enhance((0.85, 1.4)[strength])
    pixels = np.asarray(saturated, np.float32) * np.array([1 + warm, 1, 1 - warm], np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _orientation(picture: Image.Image, strength: int, random: _Random) -> Image.Image | tuple[bytes, str]:
    """Turn with an EXIF orientation; turn without it; mirror."""
    if strength == 2:
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tag = int(random.choice(list(_TURNS)))
    turned = picture.transpose(_TURNS[tag])
    if strength == 1:
        return turned
    exif = Image.Exif()
    exif[0x0112] = tag
    return _file(turned, quality=90, exif=exif.tobytes()), ".jpg"


def _blur(picture: Image.Image, strength: int, random: _Random) -> Image.Image:
    radius = (0.002, 0.004, 0.010)[strength] * min(picture.size)
    return picture.filter(ImageFilter.GaussianBlur(radius))


def _noise(picture: Image.Image, strength: int, random: _Random) -> Image.Image:
    return _noisy(picture, (4.0, 10.0, 25.0)[strength], random)


def _noisy(picture: Image.Image, deviation: float, random: _Random) -> Image.Image:
    pixels = np.asarray(picture, np.float32)
    return Image.fromarray((pixels + random.normal(0, deviation, pixels.shape)).clip(0, 255).astype(np.uint8))


CHANGES: Final[dict[str, Callable[[Image.Image, int, _Random], Image.Image | tuple[bytes, str]]]] = {
    "size": _size,
    "quality": _quality,
    "format": _format,
    "crop": _crop,
    "watermark": _watermark,
    "border": _border,
    "brightness": _brightness,
    "contrast": _contrast,
    "color": _color,
    "orientation": _orientation,
    "blur": _blur,
    "noise": _noise,
}
