"""Why a file cannot be decoded, in a few plain sentences; what the decoder says is for ``--verbose``."""

from __future__ import annotations

import re
from typing import Final

from PIL import Image, UnidentifiedImageError

from imgcluster.errors import one_line

__all__ = ["DATA", "HEADER", "NeedsMemory", "UnreadableImage", "reason_of"]

HEADER: Final = "damaged: the header cannot be read"
DATA: Final = "damaged: the image data is not valid"
_ENDS_EARLY: Final = "damaged: the file ends early"
_UNSUPPORTED: Final = "not supported: a rare variant of the format"
_NOT_RAW: Final = "damaged, or from a camera that is not supported"
_NO_MEMORY: Final = "too large for this machine's memory"
_TOO_LARGE: Final = "too large to decode safely"

# What decoders say, in lower case.
_WORDS: Final = (
    (
        _ENDS_EARLY,
        ("truncated", "end of file", "end-of-file", "unexpected eof", "ends early", "is missing", "only got"),
    ),
    # LibRaw's words for both.
    (_NOT_RAW, ("not raw file",)),
    (_UNSUPPORTED, ("unsupported", "not supported", "not implemented", "unknown compression")),
)


class UnreadableImage(Exception):  # noqa: N818 - a result about a file more than an error of the program
    """An image file that cannot be decoded; the message is the reason, and `detail` what the decoder says."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


class NeedsMemory(UnreadableImage):
    """An image that was not decoded, because that takes `memory` bytes, which is more than allowed."""

    def __init__(self, memory: int) -> None:
        super().__init__(f"decoding it needs {memory / 1e6:,.0f} MB of memory")
        self.memory = memory


def reason_of(error: Exception, stage: str) -> str:
    """Return the reason for what a decoder raised while it read the header (`HEADER`) or the pixels (`DATA`)."""
    if isinstance(error, UnidentifiedImageError):
        return HEADER
    if isinstance(error, Image.DecompressionBombError):
        numbers = [int(number) for number in re.findall(r"\d{7,}", str(error))]
        if len(numbers) != 2:
            return _TOO_LARGE
        return f"{_TOO_LARGE}: {numbers[0] / 1e6:,.0f} megapixels, the limit is {numbers[1] / 1e6:,.0f}"
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    text = one_line(error).lower()
    return next((reason for reason, words in _WORDS if any(word in text for word in words)), stage)
