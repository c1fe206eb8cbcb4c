"""Optional packages: imported when they are used, and reported if they are missing or broken."""

from __future__ import annotations

import contextlib
import importlib
import sys
import warnings
from typing import Any, Final

from imgcluster.errors import ImgclusterError, one_line

__all__ = ["EXTRAS", "MissingPackage", "UnavailablePackage", "import_optional"]

EXTRAS: Final = {
    "heif": {"pillow_heif": "register_heif_opener"},
    "raw": {"rawpy": "imread"},
    "jxl": {"pillow_jxl": "JpegXLImagePlugin"},
    "umap": {"umap": "UMAP"},
    "evoc": {"evoc": "EVoC"},
    "hub": {"huggingface_hub": "hf_hub_url", "tokenizers": "Tokenizer"},
    "ray": {"ray": "remote", "ray.data": "from_items"},
    "train": {"torch": "nn", "onnx": "helper", "onnxscript": "opset18", "pooch": "retrieve", "pydantic": "BaseModel"},
}
"""The packages of each extra, with a name that a working installation of the package has."""

_OF_NUMBA: Final = ("umap", "evoc")


class UnavailablePackage(ImgclusterError):  # noqa: N818 - callers mostly fall back instead of failing
    """An optional package is missing or broken; the message says which, why, and how to install it."""


class MissingPackage(UnavailablePackage):
    """An optional package is not installed."""


def import_optional(package: str) -> Any:
    """Import a package of `EXTRAS`.

    Looking for the package without importing it is not enough: an uninstallation can leave an empty folder behind,
    and an installed package can fail on import.

    Raises:
        MissingPackage: The package is not installed.
        UnavailablePackage: It fails on import, or is incomplete.
    """
    extra, attribute = next((extra, names[package]) for extra, names in EXTRAS.items() if package in names)
    remedy = f"pip install 'imgcluster[{extra}]'"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if package in _OF_NUMBA:
                _import_numba()
            module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name == package:
            raise MissingPackage(f"the package {package} is not installed: {remedy}") from None
        raise UnavailablePackage(f"the package {package} cannot be imported ({one_line(error)}): {remedy}") from error
    # A package that is partly installed, or built for other versions, can raise anything.
    except Exception as error:
        raise UnavailablePackage(f"the package {package} cannot be imported ({one_line(error)}): {remedy}") from error
    if not hasattr(module, attribute):
        raise UnavailablePackage(f"the package {package} is incomplete (it has no {attribute}): {remedy}")
    return module


def _import_numba() -> None:
    """Import numba, if it is there, without the file ``.numba_config.yaml`` of the current folder.

    The folder can be a stranger's, and the file can name a folder of compiled functions, which are pickles that run any
    code. Numba ignores the file where nothing reads YAML.
    """
    parser = sys.modules.pop("yaml", None)
    sys.modules["yaml"] = None  # type: ignore[assignment]
    try:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module("numba")
    finally:
        del sys.modules["yaml"]
        if parser is not None:
            sys.modules["yaml"] = parser
