"""Valid inputs of all fuzz targets; nothing here is a test."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from damaged_images import samples
from PIL import Image, ImageCms, PngImagePlugin

from imgcluster.workspace.decisions import DecidedImage, Decisions, write_decisions
from imgcluster.workspace.known_clusters import NOTHING_KNOWN, write_known_clusters
from imgcluster.workspace.shard_file import Row
from imgcluster.workspace.shard_writer import ShardWriter
from raw_files import dng
from tiny_models import TINY, endless, mean_colour

__all__ = ["seeds"]

_FORMER: Final = Path(__file__).parents[1] / "workspace/data/workspace-format-1-627280a.zip"


def seeds() -> dict[str, list[bytes]]:
    """Return valid inputs by the name of the target."""
    images = [*(content for _, content in samples()), *_with_metadata(), dng(Image.new("RGB", (16, 12), "red"))]
    with zipfile.ZipFile(_FORMER) as archive:
        former = {name: archive.read(name) for name in archive.namelist() if name.endswith((".json", ".csv", ".jsonl"))}
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
    metrics = json.loads(former["out/metrics.json"])
    step = {"command": "cluster", "summary": "3 clusters", "seconds": 1.5, "operation": "x", "complete": True}
    stored = {"sha256": "0" * 64, "size": 1}
    preprocessing = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 224, "width": 224},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 0.00392156862745098,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    return {
        "decode": images,
        "sniff": [content[:64] for content in images],
        "metrics": [former["out/metrics.json"]],
        "step": [json.dumps(step | {"metrics": metrics, "shards": [shard.name]}).encode()],
        "tables": [former["out/assignments.csv"] + b"\0" + former["out/clusters.csv"]],
        "stored_list": [json.dumps({"format": 1, "files": {"manifest.json": stored, "embeddings/a": stored}}).encode()],
        "preprocessing": [json.dumps(preprocessing).encode()],
        "tar": [_tar(mean_colour(folder / "tar.onnx").read_bytes())],
        "vectors": _vectors(),
        "manifest": [former["out/manifest.json"]],
        "shards": [shard.read_bytes(), (folder / "without checksums").read_bytes()],
        "known_clusters": [(folder / "known").read_bytes()],
        "journal": [former["out/placed.jsonl"], "".join(json.dumps(entry) + "\n" for entry in entries).encode()],
        "plan": [json.dumps(plan).encode()],
        "decisions": [(folder / "decisions").read_bytes()],
        "recipe": [path.read_bytes() for path in sorted(recipes.glob("*.toml"))],
        "onnx": [
            mean_colour(folder / "tiny.onnx").read_bytes(),
            endless(folder / "endless.onnx").read_bytes(),
            _with_external_weights(folder),
        ],
        "metadata": [metadata.encode()],
    }


def _with_metadata() -> list[bytes]:
    """Return images with color profiles, texts, EXIF, several frames, transparency and the sides of a line."""
    picture, profile = Image.new("RGB", (20, 24), "red"), ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"sRGB", b"mine")
    texts, exif = PngImagePlugin.PngInfo(), Image.Exif()
    texts.add_text("key", "value", zip=True)
    texts.add_itxt("key", "value", "en", "key", zip=True)
    texts.add_text("key", "x" * 2_000_000, zip=True)
    exif[0x0112], exif[0x010F], exif[0x0110] = 6, "Acme", "Acme One"
    exif.get_ifd(0x8769).update({0x9003: "2024:02:30 12:00:00", 0x9011: "+02:00"})
    written = [
        (picture, "PNG", {"icc_profile": srgb, "pnginfo": texts, "exif": exif}),
        (picture, "JPEG", {"icc_profile": srgb, "exif": exif}),
        (picture, "JPEG", {"icc_profile": profile.tobytes()}),
        (picture.convert("P"), "PNG", {"transparency": 0}),
        (picture, "PNG", {"save_all": True, "append_images": [picture.rotate(90)]}),
        (picture, "TIFF", {"save_all": True, "append_images": [picture], "exif": exif, "icc_profile": srgb}),
        (Image.new("I", (5, 5), 70_000), "TIFF", {}),
        (Image.new("RGB", (1, 300)), "JPEG", {}),
    ]
    contents = []
    for image, kind, options in written:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        contents.append(stream.getvalue())
    return contents


def _with_external_weights(folder: Path) -> bytes:
    """Return a model whose weights are in another file, which is beside those that the target reads."""
    model = onnx.load(mean_colour(folder / "weights.onnx"))
    (tensor,) = model.graph.initializer
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": "weights.bin", "offset": "0", "length": "4"}.items():
        tensor.external_data.add(key=key, value=value)
    return bytes(model.SerializeToString())


def _tar(model: bytes) -> bytes:
    """Return the tar file of an encoder with one file."""
    described = {"size": len(model), "sha256": hashlib.sha256(model).hexdigest()}
    facts = {
        "imgcluster_encoder": 1,
        "name": "hub:test/tiny",
        "repository": "test/tiny",
        "commit": "0" * 40,
        "license": "MIT",
        "available": {"fp32": "onnx/model.onnx"},
        "files": {"onnx/model.onnx": described},
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in (
            ("imgcluster-encoder.json", json.dumps(facts).encode()),
            ("files/onnx/model.onnx", model),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _vectors() -> list[bytes]:
    """Return files of vectors, each after the number of its kind."""
    vectors, paths = np.eye(2, 3, dtype=np.float32), np.array(["a.png", "b.png"])
    npy, npz, parquet = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(npy, vectors)
    np.savez(npz, embedding=vectors, path=paths)
    pq.write_table(pa.table({"path": paths.tolist(), "embedding": vectors.tolist()}), parquet)
    csv = b"path,embedding_0,embedding_1\na.png,1,2\nb.png,3,4\n"
    contents = [npy.getvalue(), npz.getvalue(), parquet.getvalue(), csv]
    return [bytes([number]) + content for number, content in enumerate(contents)]
