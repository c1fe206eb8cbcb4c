"""A reader: a process that reads image files for `readers`, which starts it.

It gets a line of JSON that describes it, then one line per request: the block of shared memory with the text and the
pixels of the request, the length of the text, and the most bytes that one image may take. It answers each request with
one line of JSON, a result per file. It ends when its input does: at the latest when the process that started it ends.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import operator
import os
import queue
import signal
import sys
import threading
import time
from typing import IO, Any, Final

from imgcluster.images.decode import Decoded, Header, quiet_decoders, use_one_thread
from imgcluster.images.found import FoundFile
from imgcluster.images.load import Content, Large, Loaded, NotAnImage, Skipped, Unchanged, read_image
from imgcluster.images.optional_decoders import OPTIONAL_DECODERS
from imgcluster.images.shared import Layout, SharedMemory, attach
from imgcluster.images.types import NO_EXIF, Exif, InputSpec
from imgcluster.types import Pixels

__all__ = ["from_plain", "main", "request_text"]

# The fields of `Decoded` that are plain values.
_OTHERS: Final = {"pixels", "exif", "thumbnail"}
_FACTS: Final = tuple(field.name for field in dataclasses.fields(Decoded) if field.name not in _OTHERS)
_facts_of = operator.attrgetter(*_FACTS)

_UNCHANGED: Final = True
_NO_IMAGE: Final = None
_HEADER_VALUES: Final = len(dataclasses.fields(Header))


def request_text(first: int, files: list[tuple[int, FoundFile, bytes | None]]) -> bytes:
    """Return the text of a request.

    Args:
        first: The number of the first file; the others' numbers follow.
        files: The position of each file's pixels in the block, the file, and the digest that needs no decoding.
    """
    entries = [
        (position, (file.root, file.path, file.size, file.mtime_ns, file.moved_to), digest.hex() if digest else "")
        for position, file, digest in files
    ]
    return json.dumps((first, entries), separators=(",", ":"), ensure_ascii=False).encode()


def from_plain(value: Any, pixels: Pixels) -> Content | Large:
    """Return the result of one file from a reader's answer; `pixels` are those of its image."""
    if value is _UNCHANGED:
        return Unchanged()
    if value is _NO_IMAGE:
        return NotAnImage()
    if isinstance(value, dict):
        return Skipped(value["reason"], OPTIONAL_DECODERS.get(value["decoder"]), value["detail"])
    if isinstance(value, int):
        return Large(value)
    if len(value) == _HEADER_VALUES:
        width, height, exif = value
        return Header(width, height, Exif(*exif))
    digest, facts, exif, thumbnail = value
    image = Decoded(
        pixels=pixels,
        **dict(zip(_FACTS, facts, strict=True)),
        exif=Exif(*exif) if exif else NO_EXIF,
        thumbnail=base64.b64decode(thumbnail),
    )
    return Loaded(image, bytes.fromhex(digest))


def _to_plain(content: Content | Large, pixels: Pixels) -> Any:
    if isinstance(content, Loaded):
        pixels[...] = content.image.pixels
        exif = content.image.exif
        plain = None if exif == NO_EXIF else dataclasses.astuple(exif)
        return content.digest.hex(), _facts_of(content.image), plain, base64.b64encode(content.image.thumbnail).decode()
    if isinstance(content, Header):
        return content.width, content.height, dataclasses.astuple(content.exif)
    if isinstance(content, Skipped):
        decoder = next((kind for kind, one in OPTIONAL_DECODERS.items() if one is content.missing), "")
        return {"reason": content.reason, "decoder": decoder, "detail": content.detail}
    if isinstance(content, Large):
        return content.memory
    return _UNCHANGED if isinstance(content, Unchanged) else _NO_IMAGE


def main() -> None:
    """Read files until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    description = json.loads(sys.stdin.buffer.readline())
    # What decoders print would be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, requests), daemon=True).start()
    memory = attach(description["memory"], Layout(**description["layout"]))
    spec = InputSpec(**description["spec"]) if description["spec"] else None
    use_one_thread()
    with quiet_decoders():
        while True:
            block, length, limit = map(int, requests.get().split())
            results = _read(memory, description["number"], spec, block, length, limit)
            answers.write(json.dumps(results, separators=(",", ":")).encode() + b"\n")
            answers.flush()


def _receive(stream: IO[bytes], requests: queue.SimpleQueue[bytes]) -> None:
    """Pass on requests; end the process with its input, even while it decodes."""
    for line in stream:
        requests.put(line)
    os._exit(0)


def _read(memory: SharedMemory, number: int, spec: InputSpec | None, block: int, length: int, limit: int) -> list[Any]:
    first, files = json.loads(memory.request(block)[:length].tobytes())
    pixels = memory.pixels(block)
    status = memory.status[number : number + 1]
    results = []
    for offset, (position, file, digest) in enumerate(files):
        # In this order, so that the file is never seen with the time of the one before.
        status["start"] = time.monotonic()
        status["file"] = first + offset
        content = read_image(FoundFile(*file), spec, bytes.fromhex(digest) or None, memory=limit)
        results.append(_to_plain(content, pixels[position]))
    status["file"] = -1
    return results
