"""Everything that reads bytes from strangers, as functions that must return or raise what they document.

``python tests/fuzz NAME`` fuzzes one; see ``__main__``.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from imgcluster.commands.support.vector_files import read_vectors
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.encoders.onnx_graph import check_graph
from imgcluster.encoders.preprocessing import read_preprocessing
from imgcluster.encoders.tar import import_encoder
from imgcluster.errors import ImgclusterError
from imgcluster.images.decode import UnreadableImage, decode
from imgcluster.images.formats import HEAD_BYTES, sniff
from imgcluster.images.types import InputSpec
from imgcluster.placement import read_journal
from imgcluster.workspace.decisions import read_decisions
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.known_clusters import read_known_clusters
from imgcluster.workspace.plan_file import read_plan
from imgcluster.workspace.results import read_tables
from imgcluster.workspace.shards import load
from imgcluster.workspace.states import states
from imgcluster.workspace.stored_files import files_of

__all__ = ["TARGETS", "run"]

_SPECS: Final = (
    InputSpec(width=8, height=8, channels=3, resize="crop", filter="bilinear"),
    InputSpec(width=6, height=8, channels=1, resize="stretch", filter="bicubic"),
    InputSpec(width=8, height=8, channels=3, resize="crop", filter="bicubic", resize_edge=12),
)
# Most targets write a file, which a disk makes ten times as slow.
_FOLDER: Final = Path(
    tempfile.mkdtemp(prefix="imgcluster-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
)
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
Workspace(_FOLDER).initialize()
_SEPARATOR: Final = b"\0"
# An image of these tests is small, so nothing needs more.
_MEMORY: Final = 1 << 27


def fuzz_decode(data: bytes) -> None:
    """Decode an image."""
    for extension in (".png", ".nef"):
        kind = sniff(data[:HEAD_BYTES], extension).format
        with contextlib.suppress(UnreadableImage):
            for spec in _SPECS:
                decode(data, spec, kind=kind, memory=_MEMORY, thumbnail=True)


def fuzz_sniff(data: bytes) -> None:
    """Recognize a format."""
    for extension in ("", ".png", ".bmp", ".nef", ".jxl"):
        sniff(data[:HEAD_BYTES], extension)


def fuzz_manifest(data: bytes) -> None:
    """Read the manifest of a workspace."""
    (_FOLDER / "manifest.json").write_bytes(data)
    _ = Workspace(_FOLDER).manifest


def fuzz_metrics(data: bytes) -> None:
    """Read what is on record of a clustering."""
    _written("metrics.json", data)
    Workspace(_FOLDER).read_metrics()


def fuzz_step(data: bytes) -> None:
    """Read what is on record of a step, for `undo`."""
    folder = _FOLDER / "applied/001"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_bytes(b"{}")
    (folder / "step.json").write_bytes(data)
    states(Workspace(_FOLDER))


def fuzz_tables(data: bytes) -> None:
    """Read the tables of a clustering, which NUL separates."""
    images, _, clusters = data.partition(_SEPARATOR)
    _written("assignments.csv", images)
    _written("clusters.csv", clusters)
    read_tables(Workspace(_FOLDER), {})


def fuzz_stored_list(data: bytes) -> None:
    """Read the list of files of a workspace in object storage, which must stay inside its folder."""
    for path in files_of(data.decode(errors="replace"), "s3://bucket/out"):
        assert Path(os.path.abspath(_FOLDER / path)).is_relative_to(_FOLDER)


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
    """Read the graph of a model, beside which there is a file of weights."""
    _written("weights.bin", bytes(4))
    check_graph(_written("model.onnx", data))


def fuzz_metadata(data: bytes) -> None:
    """Read the metadata of an encoder: keys and values that NUL separates."""
    texts = [part.decode(errors="replace") for part in data.split(_SEPARATOR)]
    EncoderInfo.from_metadata(dict(zip(texts[::2], texts[1::2], strict=False)))


def fuzz_preprocessing(data: bytes) -> None:
    """Read how an encoder of the hub prepares images."""
    read_preprocessing(_written("preprocessor_config.json", data))


def fuzz_tar(data: bytes) -> None:
    """Install the encoder in a tar file."""
    before = os.environ.get("IMGCLUSTER_ENCODERS")
    os.environ["IMGCLUSTER_ENCODERS"] = str(_FOLDER / "encoders")
    try:
        import_encoder(_written("encoder.tar", data))
    finally:
        del os.environ["IMGCLUSTER_ENCODERS"]
        os.environ |= {} if before is None else {"IMGCLUSTER_ENCODERS": before}
        shutil.rmtree(_FOLDER / "encoders", ignore_errors=True)


def fuzz_vectors(data: bytes) -> None:
    """Read vectors of other programs, of the kind that the first byte chooses."""
    kinds = (".npy", ".npz", ".parquet", ".csv")
    file = _written(f"vectors{kinds[data[0] % len(kinds)] if data else kinds[0]}", data[1:])
    read_vectors(file, str(_written("paths.txt", b"a.png\nb.png\n")) if file.suffix == ".npy" else None, None)


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
