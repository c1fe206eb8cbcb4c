"""Reading one file: format detection, digest, decoding."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Final

from imgcluster.fileio.digests import DIGEST_BYTES
from imgcluster.fileio.regular import open_regular
from imgcluster.images.decode import Decoded, Header, NeedsMemory, UnreadableImage, decode, read_header
from imgcluster.images.formats import HEAD_BYTES, sniff
from imgcluster.images.found import FoundFile
from imgcluster.images.optional_decoders import OptionalDecoder, missing_decoder
from imgcluster.images.types import InputSpec

__all__ = [
    "MOST_BYTES",
    "Content",
    "Large",
    "Loaded",
    "NotAnImage",
    "Skipped",
    "Unchanged",
    "read_image",
    "too_many_bytes",
]

MOST_BYTES: Final = 1 << 31
"""Larger files are not read."""

# Files that are smaller need one call of the system; of a large one that is not an image no more is read.
_FIRST_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image ready for the encoder; `digest` is the BLAKE2b-128 of the file's bytes."""

    image: Decoded
    digest: bytes


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file whose content was embedded before."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image file that cannot be read.

    Attributes:
        reason: Why.
        missing: The decoder whose installation would help.
        detail: What the decoder says.
    """

    reason: str
    missing: OptionalDecoder | None = None
    detail: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class NotAnImage:
    """A file that is not an image and has no image extension; of headers, any file that has none."""


@dataclass(frozen=True, slots=True)
class Large:
    """An image that was not read, because it needs more memory than allowed: at least `memory` bytes."""

    memory: int


Content = Loaded | Header | Unchanged | Skipped | NotAnImage


def read_image(
    file: FoundFile, spec: InputSpec | None, known_digest: bytes | None = None, *, memory: int | None = None
) -> Content | Large:
    """Read and decode one file, or its header if there is no `spec`; problems with it are returned, not raised.

    A file whose content still has the `known_digest` is not decoded, and one that needs more than `memory` bytes is not
    read.
    """
    if spec is None:
        try:
            return read_header(file.file, memory=memory) or NotAnImage()
        except NeedsMemory as need:
            return Large(need.memory)
    try:
        with open_regular(file.file) as stream:
            before = os.fstat(stream.fileno())
            head = stream.read(_FIRST_BYTES)
            kind = sniff(head[:HEAD_BYTES], os.path.splitext(file.path)[1].lower())
            if kind.format is None:
                return NotAnImage() if kind.problem is None else Skipped(kind.problem)
            if (missing := missing_decoder(kind.format)) is not None:
                return Skipped(missing.problem, missing)
            # A web server need not tell the size, and a file may have grown since it was found.
            size = max(file.size, before.st_size)
            if size > MOST_BYTES:
                return Skipped(too_many_bytes(size))
            if memory is not None and size > memory:
                return Large(size)
            data = head
            # One call of the system can return less than there is, as on some file systems of programs.
            if len(head) < size or len(head) == _FIRST_BYTES:
                stream.seek(0)
                data = stream.read()
            after = os.fstat(stream.fileno())
    except OSError as error:
        return Skipped(error.strerror or str(error))
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return Skipped("the file changed while it was read; the next run reads it again")
    digest = hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
    if digest == known_digest:
        return Unchanged()
    try:
        return Loaded(decode(data, spec, kind=kind.format, memory=memory, thumbnail=True), digest)
    except NeedsMemory as need:
        return Large(need.memory)
    except UnreadableImage as reason:
        return Skipped(str(reason), detail=reason.detail)


def too_many_bytes(size: int) -> str:
    """Return the reason for skipping a file of more than `MOST_BYTES`."""
    return f"the file is too large: {size} bytes, the limit is {MOST_BYTES}"
