"""Decoders that come with an extra: which formats they read, and whether they are installed."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import Final

from imgcluster.images.formats import RAW
from imgcluster.optional import MissingPackage, UnavailablePackage, import_optional

__all__ = ["OPTIONAL_DECODERS", "OptionalDecoder", "can_decode", "missing_decoder"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OptionalDecoder:
    """A decoder for one format.

    Attributes:
        files: What it reads, in the plural.
        package: Its package.
        extra: The extra that installs it.
    """

    files: str
    package: str
    extra: str

    @property
    def remedy(self) -> str:
        """The command that installs it."""
        return f"pip install 'imgcluster[{self.extra}]'"

    @property
    def problem(self) -> str:
        """Why a file cannot be read without it."""
        return f"{self.files} need an additional decoder: {self.remedy}"


OPTIONAL_DECODERS: Final = {
    "HEIF": OptionalDecoder("HEIC files", "pillow_heif", "heif"),
    "JXL": OptionalDecoder("JPEG XL files", "pillow_jxl", "jxl"),
    RAW: OptionalDecoder("camera raw files", "rawpy", "raw"),
}
"""The decoder of each format of `formats.sniff` that needs one."""


def missing_decoder(kind: str | None) -> OptionalDecoder | None:
    """Return the decoder that must be installed to read files of a format; None if they can be read without it."""
    return None if kind is None or kind not in OPTIONAL_DECODERS or can_decode(kind) else OPTIONAL_DECODERS[kind]


@functools.cache
def can_decode(kind: str) -> bool:
    """Return whether the decoder of an optional format is installed; the first call registers it with Pillow."""
    try:
        package = import_optional(OPTIONAL_DECODERS[kind].package)
    except MissingPackage:
        # The files that need it say so; others do not.
        return False
    except UnavailablePackage as error:
        _LOG.debug("%s", error)
        return False
    # pillow_jxl registers itself when it is imported, and rawpy is called directly.
    if kind == "HEIF":
        package.register_heif_opener()
    return True
