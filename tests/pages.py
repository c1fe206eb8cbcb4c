"""Pages read back without a browser: the document that a page's scripts would read, decoded; nothing here is a test."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Read:
    """A page's HTML, its document, and the text of its scripts and styles."""

    html: str
    document: dict[str, Any]
    tags: list[tuple[str, dict[str, str]]]
    scripts: list[str]
    styles: list[str]

    @property
    def policy(self) -> str:
        """The page's Content-Security-Policy."""
        (found,) = [
            attributes["content"]
            for tag, attributes in self.tags
            if attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        return found

    @property
    def paths(self) -> list[str]:
        """The paths of all images."""
        images = self.document["images"]
        folders = [images["folders"][number][0] for number in self.array("folder", "<i4")]
        names = images["names"]
        return [f"{folder}/{name}" if folder else name for folder, name in zip(folders, names, strict=True)]

    @property
    def links(self) -> list[str]:
        """The links of all images, as `document.js` makes them."""
        from urllib.parse import quote

        images = self.document["images"]
        return [
            images["links"].get(str(index), f"{images['folders'][folder][1]}/{quote(name, safe='')}")
            for index, (folder, name) in enumerate(zip(self.array("folder", "<i4"), images["names"], strict=True))
        ]

    def array(self, name: str, kind: str) -> np.ndarray:
        """Return one of the packed columns of the images."""
        return np.frombuffer(base64.b64decode(self.document["images"][name], validate=True), kind)

    def pictures(self) -> dict[int, np.ndarray]:
        """Return the largest embedded picture of each image that has one, as pixels."""
        found: dict[int, np.ndarray] = {}
        for tier in self.document["thumbnails"]:
            side, columns = tier["side"], tier["columns"]
            sheets = [
                np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet))).convert("RGB")) for sheet in tier["sheets"]
            ]
            for place, index in enumerate(np.frombuffer(base64.b64decode(tier["images"]), "<i4").tolist()):
                if place in tier["missing"] or index in found:
                    continue
                sheet, inside = sheets[place // columns**2], place % columns**2
                top, left = inside // columns * side, inside % columns * side
                found[index] = sheet[top : top + side, left : left + side]
        return found


class _Reader(HTMLParser):
    VOID = frozenset({"meta", "img", "br", "hr", "link", "input"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self._open.append(tag)
        if tag in self.texts:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.texts:
            self.texts[self._open[-1]][-1] += data


def read(page: Path | str) -> Read:
    """Read a page, from its file or its text."""
    html = page.read_bytes().decode("utf-8") if isinstance(page, Path) else page
    reader = _Reader(html)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return Read(html, json.loads(data), reader.tags, reader.texts["script"], reader.texts["style"])
