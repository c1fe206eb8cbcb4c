"""Writing the page: one HTML file with its styles, scripts, data and pictures inside, which asks the network for
nothing.

Names of files and clusters come in as JSON in a block that browsers do not run, and the scripts show them as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.report.content import Cluster, Images, Page, Thumbnails
from imgcluster.report.palette import colour, marker

__all__ = ["SCRIPTS", "render"]

SCRIPTS: Final = (
    "document.js",
    "pictures.js",
    "plan.js",
    "tiles.js",
    "card.js",
    "gallery.js",
    "map.js",
    "map-points.js",
    "map-pictures.js",
    "map-moves.js",
    "start.js",
)
"""The page's own scripts, in the order in which they are joined: each may use what stands before it."""

_LIBRARY: Final = ("vendor/pixi.min.js", "vendor/pixi-unsafe-eval.min.js")
_STEPS: Final = 32767


def render(page: Page) -> str:
    """Return the page as HTML."""
    from jinja2 import Environment, StrictUndefined

    style = _text("page.css")
    # Comments that name a source map would send a browser's tools looking for it.
    library = [re.sub(r"\n//# sourceMappingURL=\S*\s*$", "\n", _text(name)) for name in _LIBRARY]
    own = '"use strict";\n(() => {\n' + "\n".join(_text(name) for name in SCRIPTS) + "})();\n"
    scripts = [*library, own]
    # Nothing may be fetched or run but what is here, whatever a file's name or a mistake of ours puts into the page.
    # Pictures come from the sheets inside (blob:) or, on demand, from the user's own files beside the page.
    policy = (
        f"default-src 'none'; img-src blob: data: file: 'self'; style-src {_hash(style)}; "
        f"script-src {' '.join(map(_hash, scripts))}; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_text("page.html"))
    data = json.dumps(_document(page), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return template.render(page=page, style=style, scripts=scripts, policy=policy, data=data.replace("<", "\\u003c"))


def _document(page: Page) -> dict[str, Any]:
    return {
        "identity": page.identity,
        "title": page.title,
        "sentences": page.sentences,
        "warnings": page.warnings,
        "facts": page.facts,
        "skipped": page.skipped,
        "command": page.command,
        "mapHow": page.map_how,
        "clusters": [_cluster(cluster) for cluster in page.clusters],
        "images": _images(page.images),
        "thumbnails": [_thumbnails(pictures) for pictures in page.thumbnails],
        "madeBy": page.made_by,
    }


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "number": cluster.number,
        "name": cluster.name,
        "colour": colour(cluster.number),
        "marker": marker(cluster.number),
        "size": cluster.size,
        "silhouette": cluster.silhouette,
        "stability": cluster.stability,
        "meanDistance": cluster.mean_distance,
        "medoid": cluster.medoid,
        "nearest": cluster.nearest,
        "representatives": cluster.representatives,
    }


def _images(images: Images) -> dict[str, Any]:
    return {
        "names": images.names,
        "folders": images.folders,
        "links": images.links,
        "folder": _packed(images.folder, "<i4"),
        "cluster": _packed(images.cluster, "<i4"),
        "runnerUp": None if images.runner_up is None else _packed(images.runner_up, "<i4"),
        "confidence": _packed(np.rint(np.nan_to_num(images.confidence).clip(0, 1) * 65535), "<u2"),
        "distance": _packed(images.distance, "<f4"),
        "points": _packed(np.rint(images.points.clip(-1, 1) * _STEPS), "<i2"),
    }


def _thumbnails(pictures: Thumbnails) -> dict[str, Any]:
    return {
        "side": pictures.side,
        "columns": pictures.columns,
        "images": _packed(pictures.images, "<i4"),
        "missing": pictures.missing,
        "sheets": [base64.b64encode(sheet).decode("ascii") for sheet in pictures.sheets],
    }


def _packed(values: npt.NDArray[Any], kind: str) -> str:
    """Return an array as base64 of little-endian numbers, which a browser reads as they are."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.dtype(kind)).tobytes()).decode("ascii")


def _hash(text: str) -> str:
    """Return what a policy calls an inline script or style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _text(name: str) -> str:
    return (files("imgcluster.report") / name).read_text(encoding="utf-8")
