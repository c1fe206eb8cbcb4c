"""Writes the page: one HTML file that contains its style, scripts, data and thumbnails, and fetches nothing.

The names of files and clusters are stored as JSON, which browsers do not run, and shown as text by the scripts.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from imgcluster.images.types import Exif
from imgcluster.report.page_content import Cluster, Findings, Images, Page, Thumbnails
from imgcluster.report.palette import cluster_color, marker

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["SCRIPTS", "render"]

SCRIPTS: Final = (
    "dom.js",
    "data.js",
    "thumbnails.js",
    "plan.js",
    "plan-storage.js",
    "cluster-labels.js",
    "selection.js",
    "dialogs.js",
    "help-dialog.js",
    "plan-dialog.js",
    "earlier-changes.js",
    "tile-selection.js",
    "tile-grid.js",
    "image-dialog.js",
    "sorted-grid.js",
    "cluster-dialog.js",
    "search.js",
    "overview.js",
    "gallery.js",
    "copies.js",
    "outliers.js",
    "selection-bar.js",
    "map-view.js",
    "map-renderer.js",
    "map-contours.js",
    "map-colors.js",
    "map-overlay.js",
    "map-input.js",
    "print.js",
    "map.js",
    "start.js",
)
"""The scripts in ``scripts/``, in the order in which they run."""

_POINT_STEPS: Final = 32767
_CONFIDENCE_STEPS: Final = 65535


def render(page: Page) -> str:
    """Return the page as HTML."""
    style = _read("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_read(f"scripts/{name}") for name in SCRIPTS) + "})();\n"
    # Only this style and this script may run, and nothing may be fetched but images: thumbnails (blob:) and originals.
    policy = (
        f"default-src 'none'; img-src blob: data: file: 'self'; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(_document(page), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _template().render(page=page, style=style, script=script, policy=policy, data=data.replace("<", "\\u003c"))


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_read("page.html"))


def _document(page: Page) -> dict[str, Any]:
    return {
        "identity": page.identity,
        "earlierClusterings": page.earlier,
        "appliedTo": page.applied_to,
        "title": page.title,
        "sentences": page.sentences,
        "warnings": page.warnings,
        "facts": page.facts,
        "skipped": [dataclasses.astuple(skipped) for skipped in page.skipped],
        "workspaceOption": page.workspace_option,
        "clusters": [_cluster(cluster) for cluster in page.clusters],
        "images": _images(page.images),
        "findings": _findings(page.findings),
        "thumbnails": [_thumbnails(thumbnails) for thumbnails in page.thumbnails],
    }


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "number": cluster.number,
        "name": cluster.name,
        "suggestedName": cluster.suggested_name,
        "color": cluster_color(cluster.number),
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
    confidence = np.nan_to_num(images.confidence).clip(0, 1)
    return {
        "names": images.names,
        "folders": images.folders,
        "links": images.links,
        "base": images.base,
        "folder": _encode(images.folder, "<i4"),
        "cluster": _encode(images.cluster, "<i4"),
        "runnerUp": None if images.runner_up is None else _encode(images.runner_up, "<i4"),
        "confidence": _encode(np.rint(confidence * _CONFIDENCE_STEPS), "<u2"),
        "pixels": _encode(images.pixels, "<i4"),
        "distance": _encode(images.distance, "<f4"),
        "decisions": images.decisions,
        **_photographs(images.exif),
        "points": _encode(np.rint(images.points.clip(-1, 1) * _POINT_STEPS), "<i2"),
    }


def _photographs(exif: Sequence[Exif]) -> dict[str, Any]:
    """Return capture times in seconds (NaN if unknown) and cameras by number; None where nothing is known."""
    times = np.array([one.seconds for one in exif], np.float64)
    cameras = {camera: number for number, camera in enumerate(dict.fromkeys(one.camera for one in exif))}
    return {
        "captured": None if np.isnan(times).all() else _encode(times, "<f8"),
        "cameras": list(cameras),
        "camera": _encode(np.array([cameras[one.camera] for one in exif]), "<i4") if any(cameras) else None,
    }


def _findings(findings: Findings) -> dict[str, Any]:
    neighbors = findings.neighbors
    return {
        "neighbors": None if neighbors is None else {"count": neighbors.shape[1], "images": _encode(neighbors, "<i4")},
        "duplicates": [[dataclasses.astuple(copy) for copy in group] for group in findings.duplicates],
        "bursts": [[dataclasses.astuple(copy) for copy in group] for group in findings.bursts],
        "setAside": findings.set_aside,
        "outliers": [dataclasses.astuple(unusual) for unusual in findings.outliers],
        "moreOutliers": findings.more_outliers,
        "remaining": findings.remaining,
    }


def _thumbnails(thumbnails: Thumbnails) -> dict[str, Any]:
    return {
        "side": thumbnails.side,
        "columns": thumbnails.columns,
        "images": _encode(thumbnails.images, "<i4"),
        "missing": thumbnails.missing,
        "sheets": [base64.b64encode(sheet).decode("ascii") for sheet in thumbnails.sheets],
    }


def _encode(values: npt.NDArray[Any], dtype: str) -> str:
    """Return an array as base64 of little-endian numbers, which a browser reads as a typed array."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.dtype(dtype)).tobytes()).decode("ascii")


def _hash(text: str) -> str:
    """Return the source expression of an inline script or style in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _read(name: str) -> str:
    return (files("imgcluster.report") / name).read_text(encoding="utf-8")
