"""The version, in one place, and those of what decides the results."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

__all__ = ["__version__", "versions"]

_DECIDING: Final = ("onnxruntime-gpu", "onnxruntime", "numpy", "pillow", "scikit-learn", "hdbscan")

try:
    __version__ = version("imgcluster")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"


@cache
def versions() -> dict[str, Any]:
    """Return what a manifest records: the version of imgcluster, of Python and of the packages beneath."""
    packages = {"python": platform.python_version()}
    for name in _DECIDING:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"imgcluster": __version__, "versions": packages}
