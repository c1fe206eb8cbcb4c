"""Valid inputs of all fuzz targets; nothing here is a test."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from damaged_images import samples

from imgcluster.workspace.decisions import DecidedImage, Decisions, write_decisions
from imgcluster.workspace.known_clusters import NOTHING_KNOWN, write_known_clusters
from imgcluster.workspace.shard_file import Row
from imgcluster.workspace.shard_writer import ShardWriter
from tiny_models import TINY, mean_colour

__all__ = ["seeds"]


def seeds() -> dict[str, list[bytes]]:
    """Return valid inputs by the name of the target."""
    images = [content for _, content in samples()]
    folder = Path(tempfile.mkdtemp(prefix="imgcluster-seeds-"))
    writer = ShardWriter(folder, "encoder")
    writer.add([Row(f"{n}.png", "/p", n, n, bytes([n]) * 16, 8, 8, np.full(4, n, np.float32)) for n in range(3)])
    writer.flush()
    (shard,) = folder.glob("*.parquet")
    # A stranger can write right checksums, which a fuzzer does not find.
    pq.write_table(pq.read_table(shard), folder / "without checksums", compression="none")
    known = NOTHING_KNOWN.after(np.array([0, 0, -1]), [bytes(16)] * 3, ["/a", "/b", "/c"], keep=())
    write_known_clusters(folder / "known", known)
    decided = {(bytes(16), "/a"): DecidedImage(0, "pinned")}
    write_decisions(folder / "decisions", Decisions({0: "a"}, {1: 0}, frozenset({2}), decided))
    plan = {
        "imgcluster_plan": 1,
        "clustering": "x",
        "names": {"0": "a"},
        "merges": [{"from": 1, "into": "noise"}],
        "misplaced": [{"path": "a", "to": 1}],
        "new_clusters": [{"name": "b", "images": ["c"]}],
        "split": [{"cluster": 3, "into": 2}],
        "unsorted": ["d"],
        "pinned": ["e"],
        "set_aside": ["f"],
    }
    head = {"mode": "move", "folder": "clusters", "signature": "0" * 64}
    entries = [head, {"source": "/p/a.png", "target": "clusters/cluster_000/a.png"}]
    recipes = Path(__file__).parents[2] / "training/recipes"
    metadata = "\0".join(part for pair in TINY.to_metadata().items() for part in pair)
    return {
        "decode": images,
        "sniff": [content[:64] for content in images],
        "manifest": [b'{"format": 1, "encoder": {"identity": "x"}, "counts": {"found": 1}, "base": "/p"}'],
        "shards": [shard.read_bytes(), (folder / "without checksums").read_bytes()],
        "known_clusters": [(folder / "known").read_bytes()],
        "journal": ["".join(json.dumps(entry) + "\n" for entry in entries).encode()],
        "plan": [json.dumps(plan).encode()],
        "decisions": [(folder / "decisions").read_bytes()],
        "recipe": [path.read_bytes() for path in sorted(recipes.glob("*.toml"))],
        "onnx": [mean_colour(folder / "tiny.onnx").read_bytes()],
        "metadata": [metadata.encode()],
    }
