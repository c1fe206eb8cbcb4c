"""A small page with rows of pictures: one HTML file that fetches nothing and runs no script."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from PIL import Image

from imgcluster.types import Pixels

__all__ = ["Picture", "is_replaceable", "render_sheet"]

_START: Final = '<!doctype html>\n<html lang="en"><head><meta name="generator" content="imgcluster contact sheet">'

_HEAD: Final = 200

_STYLE: Final = """
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 1rem auto; max-width: 80rem; padding: 0 1rem; }
section { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .75rem; margin: 0 0 2rem; }
figure { margin: 0; }
figure:first-child { outline: 3px solid #2a78d6; outline-offset: 3px; }
img, .missing { display: block; width: 100%; aspect-ratio: 1; background: #8883; }
.missing { display: grid; place-items: center; }
figcaption { overflow-wrap: anywhere; }
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """A square thumbnail, None if there is none; its title, and a note such as a score."""

    pixels: Pixels | None
    title: str
    note: str


def render_sheet(title: str, rows: Sequence[Sequence[Picture]]) -> str:
    """Return a page with rows of pictures; the first one of each row is marked."""
    sections = "\n".join(f"<section>{''.join(map(_figure, row))}</section>" for row in rows)
    return (
        f'{_START}<meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{sections}\n</body></html>\n"
    )


def is_replaceable(path: Path, generator: str = "imgcluster contact sheet") -> bool:
    """Return whether a path is free, or holds a page of this generator, by default one of `render_sheet`."""
    if not os.path.lexists(path):
        return True
    # Opening a named pipe waits until somebody writes to it.
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return f'name="generator" content="{generator}"'.encode() in file.read(_HEAD)
    except OSError:
        return False


def _figure(picture: Picture) -> str:
    note = f"<br>{escape(picture.note)}" if picture.note else ""
    return f"<figure>{_image(picture)}<figcaption>{escape(picture.title)}{note}</figcaption></figure>"


def _image(picture: Picture) -> str:
    if picture.pixels is None:
        return '<span class="missing">no picture</span>'
    stream = io.BytesIO()
    Image.fromarray(picture.pixels).save(stream, "WEBP", quality=75)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return f'<img alt="{escape(picture.title)}" src="data:image/webp;base64,{data}">'
