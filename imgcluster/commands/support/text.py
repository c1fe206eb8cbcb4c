"""The text part that belongs to the encoder of a workspace's images."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Final, cast

import numpy as np

from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.encoders.hub_name import hub_name
from imgcluster.encoders.hub_source import text_source, text_tower_of
from imgcluster.encoders.installed import installation_lock, pin, pinned
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.named_encoders import NAMED_ENCODERS
from imgcluster.encoders.text_encoder import TextEncoder
from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.features.normalize import l2_normalize
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.types import Pixels, Precision

__all__ = ["has_text", "info_of", "open_text", "require_text"]

_LOG = logging.getLogger(__name__)

_COLORS: Final = {
    "red": (210, 30, 30),
    "green": (30, 160, 50),
    "blue": (30, 60, 200),
    "yellow": (240, 220, 40),
    "black": (5, 5, 5),
    "white": (250, 250, 250),
}
_PAIRED: Final = 0.5
"""The least share of these colors that is matched; by chance it is a sixth."""


def has_text(encoder: str) -> bool:
    """Return whether an encoder, given by its name, has a text part."""
    return text_tower_of(encoder) is not None


def require_text(encoder: str) -> None:
    """Check that an encoder, given by its name, has a text part.

    Raises:
        UsageError: It has none.
    """
    if not has_text(encoder):
        names = " or ".join(row.name for row in NAMED_ENCODERS.values() if row.text)
        raise UsageError(f"encoder {encoder} knows no text; embed the images with --encoder {names}")


def info_of(manifest: dict[str, Any]) -> EncoderInfo:
    """Return the description of the encoder that made a workspace's embeddings.

    Raises:
        WorkspaceError: The manifest does not describe it completely.
    """
    known = {name: value for name, value in manifest["encoder"].items() if name in EncoderInfo.__dataclass_fields__}
    try:
        return EncoderInfo(**known)
    except TypeError as error:
        raise WorkspaceError(
            f"manifest.json does not describe the encoder completely ({error}): embed the images again with --fresh"
        ) from None


def open_text(
    info: EncoderInfo, *, device: str = "auto", install: bool = True, on_progress: OnProgress = ignore_progress
) -> TextEncoder | None:
    """Return the text part of an encoder, in the precision of the image part.

    Both are of the same commit, in the lock file and in the workspace, and have the same embedding size. Once it is
    also checked that plain colors are matched with their names; the result is kept in the lock file.

    Args:
        info: The description of the image part.
        device: ``auto`` or a key of `device_names.DEVICES`.
        install: Whether missing files may be downloaded; if not, None is returned where they are missing.
        on_progress: Called during downloads.

    Raises:
        UsageError: The encoder has no text part, or the images were embedded with another output.
        EncoderError: The text part cannot be downloaded or does not run, or image and text part do not belong together.
        DeviceError: The named device does not run here.
    """
    require_text(info.name)
    name = hub_name(info.name)
    assert name is not None
    row = next(row for row in NAMED_ENCODERS.values() if row.repository == name.repository)
    if info.output not in ("", row.options.output):
        raise UsageError(
            f"the images were embedded with --output {info.output}; texts are compared with {row.options.output}: "
            "embed them again without --output, in another workspace or with --fresh"
        )
    precision = cast(Precision, info.precision or "fp32")
    source = text_source(info.name, precision, commit=info.version, install=install, on_progress=on_progress)
    if source is None:
        return None
    text = TextEncoder(info.name, source, embedding_size=info.embedding_size, device=device)
    _check_pairing(info.name, name.name, precision, text)
    return text


def _check_pairing(encoder: str, entry: str, precision: Precision, text: TextEncoder) -> None:
    """Warn if plain colors are not matched with their names; nothing is checked where the image part is missing."""
    record = pinned(entry)
    assert record is not None
    if precision not in record.pairing:
        if record.available.get(precision) not in record.files:
            return
        share = _matched_colors(
            PixelEncoder(encoder, device="cpu", precision=precision, compare=False, install=False), text
        )
        with installation_lock():
            record = pinned(entry) or record
            record = replace(record, pairing={**record.pairing, precision: share})
            pin(entry, record)
    if record.pairing[precision] < _PAIRED:
        _LOG.warning(
            "the image and text parts of %s match %.0f %% of plain colors with their names: do not rely on results",
            encoder,
            100 * record.pairing[precision],
        )


def _matched_colors(encoder: PixelEncoder, text: TextEncoder) -> float:
    """Return the share of plain colors whose image is more similar to its name than to the others."""
    info = encoder.info
    colors: Pixels = np.array(list(_COLORS.values()), dtype=np.uint8)[:, None, None, :]
    images = np.broadcast_to(colors, (len(colors), info.height, info.width, 3))
    vectors = l2_normalize(encoder.encode(np.ascontiguousarray(images)))
    similarities = vectors @ text.encode([f"a plain {color} image" for color in _COLORS]).T
    # A text can be similar to all images.
    similarities -= similarities.mean(axis=0)
    return round(float((similarities.argmax(axis=1) == np.arange(len(colors))).mean()), 3)
