"""Everything that reads bytes from strangers, as functions that must return or raise what they document.

``python tests/fuzz NAME`` fuzzes one; see ``__main__``.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.onnx_graph import check_graph
from imgcluster.errors import ImgclusterError
from imgcluster.images.decode import UnreadableImage, decode
from imgcluster.images.formats import HEAD_BYTES, sniff
from imgcluster.images.types import InputSpec
from imgcluster.placement import read_journal
from imgcluster.workspace.decisions import read_decisions
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.known_clusters import read_known_clusters
from imgcluster.workspace.plan_file import read_plan
from imgcluster.workspace.shards import load

__all__ = ["TARGETS", "run"]

_SPEC: Final = InputSpec(width=8, height=8, channels=3, resize="crop", filter="bilinear")
_FOLDER: Final = Path(tempfile.mkdtemp(prefix="imgcluster-fuzz-"))
Workspace(_FOLDER).initialize()
_SEPARATOR: Final = b"\0"
# An image of these tests is small, so nothing needs more.
_MEMORY: Final = 1 << 27


def fuzz_decode(data: bytes) -> None:
    """Decode an image."""
    with contextlib.suppress(UnreadableImage):
        decode(data, _SPEC, kind=sniff(data[:HEAD_BYTES], ".png").format, memory=_MEMORY, thumbnail=True)


def fuzz_sniff(data: bytes) -> None:
    """Recognize a format."""
    for extension in ("", ".png", ".bmp", ".nef", ".jxl"):
        sniff(data[:HEAD_BYTES], extension)


def fuzz_manifest(data: bytes) -> None:
    """Read the manifest of a workspace."""
    (_FOLDER / "manifest.json").write_bytes(data)
    _ = Workspace(_FOLDER).manifest


def fuzz_shards(data: bytes) -> None:
    """Read a shard."""
    folder = _FOLDER / "embeddings"
    folder.mkdir(exist_ok=True)
    (folder / "shard-000000.parquet").write_bytes(data)
    load(folder, "encoder")


def fuzz_known_clusters(data: bytes) -> None:
    """Read the known clusters."""
    read_known_clusters(_written("known_clusters.parquet", data))


def fuzz_journal(data: bytes) -> None:
    """Read the journal of placed files, in whose workspace every path is embedded."""
    journal = read_journal(_written("placed.jsonl", data), _All())
    if journal is not None:
        inside = os.path.join(os.path.abspath(_FOLDER), "clusters", "")
        assert all(os.path.abspath(entry.target).startswith(inside) for entry in journal.entries)


def fuzz_plan(data: bytes) -> None:
    """Read a plan."""
    read_plan(data.decode(errors="replace"), "plan.json")


def fuzz_decisions(data: bytes) -> None:
    """Read the decisions."""
    read_decisions(_written("decisions.json", data))


def fuzz_recipe(data: bytes) -> None:
    """Read a training recipe."""
    from imgcluster_training.recipe.parser import parse_recipe

    parse_recipe(data.decode(errors="replace"), "fuzzed")


def fuzz_onnx(data: bytes) -> None:
    """Read the graph of a model."""
    check_graph(_written("model.onnx", data))


def fuzz_metadata(data: bytes) -> None:
    """Read the metadata of an encoder: keys and values that NUL separates."""
    texts = [part.decode(errors="replace") for part in data.split(_SEPARATOR)]
    EncoderInfo.from_metadata(dict(zip(texts[::2], texts[1::2], strict=False)))


class _All(frozenset[str]):
    def __contains__(self, _: object) -> bool:
        return True


def _written(name: str, data: bytes) -> Path:
    (_FOLDER / name).write_bytes(data)
    return _FOLDER / name


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    name.removeprefix("fuzz_"): function for name, function in list(globals().items()) if name.startswith("fuzz_")
}


def run(name: str, data: bytes) -> None:
    """Run a target; documented exceptions are fine."""
    with contextlib.suppress(ImgclusterError):
        TARGETS[name](data)
