"""What an ONNX file refers to, read from its bytes before a session is created from it.

A file from a stranger must not make ONNX Runtime read other files, and runs only the standard's operators and ONNX
Runtime's own. The few fields needed are read from the protocol buffer directly (onnx.proto of the ONNX project): the
package onnx is needed for training only.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from imgcluster.errors import EncoderError

__all__ = ["GraphFacts", "check_graph", "graph_files", "is_inside", "read_graph"]

_DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")

# The fields of each message that hold messages to look into.
_CHILDREN: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external data"},
}
_OP_TYPE, _DOMAIN = 4, 7  # of a node
_FUNCTION_DOMAIN: Final = 10
_MAX_DEPTH: Final = 100


@dataclass(slots=True)
class GraphFacts:
    """What the graph of an ONNX file refers to.

    Attributes:
        external_files: The files that hold weights, as written in the ONNX file: relative to its folder.
        domains: The domains of its operators.
        own_domains: The domains of the functions that it defines itself.
        operators: The names of its operators.
    """

    external_files: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    own_domains: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)

    @property
    def depends_on_batch(self) -> bool:
        """Whether the vector of an image depends on the other images of its batch.

        Dynamic quantization scales activations by their range in the whole batch.
        """
        return "DynamicQuantizeLinear" in self.operators


def read_graph(path: Path) -> GraphFacts:
    """Return what the ONNX file at `path` refers to.

    Raises:
        EncoderError: It cannot be read.
    """
    facts = GraphFacts()
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            memoryview(data) as view,
        ):
            _collect(view, "model", facts, 0)
    except (ValueError, IndexError, BufferError):  # the last from closing the map while the others are raised
        raise EncoderError(f"{path} is not a readable ONNX model: it is damaged, empty, or another format") from None
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}") from None
    return facts


def graph_files(path: Path) -> tuple[Path, ...]:
    """Return the ONNX file at `path`, and the files beside it in which large models keep their weights.

    Raises:
        EncoderError: It cannot be read.
    """
    return (path, *(path.parent / name for name in sorted(read_graph(path).external_files)))


def check_graph(path: Path) -> GraphFacts:
    """Return `read_graph`, after checking that the file refers to no file outside its folder and no custom operator.

    Raises:
        EncoderError: It does, or it cannot be read, or a file with its weights is missing.
    """
    facts = read_graph(path)
    custom = sorted(facts.domains - facts.own_domains - set(_DOMAINS))
    if custom or "EPContext" in facts.operators:
        raise EncoderError(
            f"{path} needs custom operators ({', '.join(custom) or 'EPContext'}), which are code outside the model and "
            "are refused; export it with the standard operators"
        )
    folder = path.resolve().parent if not path.is_symlink() else path.parent.resolve()
    for name in sorted(facts.external_files):
        if not is_inside(name) or not (folder / name).resolve().is_relative_to(folder):
            raise EncoderError(f"{path} refers to the file {name!r} outside its folder, which is refused")
        if not (folder / name).is_file():
            raise EncoderError(f"{path} needs the file {name} with its weights beside it, which is missing")
    return facts


def is_inside(name: str) -> bool:
    """Return whether a relative path, written with ``/``, stays inside the folder that it is relative to."""
    parts = PurePosixPath(name).parts
    return (
        bool(parts)
        and ".." not in parts
        and "\\" not in name
        and "\0" not in name
        and not PurePosixPath(name).is_absolute()
        and not PureWindowsPath(name).drive
    )


def _collect(message: memoryview, kind: str, facts: GraphFacts, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if kind == "external data":
        entry = {number: bytes(value).decode() for number, value in _fields(message)}
        if entry.get(1) == "location":
            facts.external_files.add(entry.get(2, ""))
        return
    children = _CHILDREN[kind]
    if kind == "node":
        facts.domains.add("")
    for number, value in _fields(message):
        if number in children:
            _collect(value, children[number], facts, depth + 1)
        elif kind == "node" and number == _OP_TYPE:
            facts.operators.add(bytes(value).decode())
        elif kind == "node" and number == _DOMAIN:
            facts.domains.add(bytes(value).decode())
        elif kind == "function" and number == _FUNCTION_DOMAIN:
            facts.own_domains.add(bytes(value).decode())


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and content of every length-delimited field of a message; others are skipped."""
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        wire_type = key & 7
        if wire_type == 0:
            _, position = _varint(message, position)
        elif wire_type in (1, 5):
            position += 8 if wire_type == 1 else 4
        elif wire_type == 2:
            length, position = _varint(message, position)
            if position + length > end:
                raise ValueError("truncated")
            yield key >> 3, message[position : position + length]
            position += length
        else:
            raise ValueError("not a protocol buffer")
    if position != end:
        raise ValueError("truncated")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("not a protocol buffer")
