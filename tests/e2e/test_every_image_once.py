"""In any generated folder, every image is in exactly one row of one table."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import imgcluster
from imgcluster import ClusteringError, NoImagesError

NAMES = st.text(st.sampled_from("ab Ä,\"'<é€"), min_size=1, max_size=4).map(str.strip).filter(bool)
KINDS = st.sampled_from(["png", "jpeg", "gif", "truncated", "empty", "text", "renamed", "notes"])
TREES = st.dictionaries(st.tuples(st.lists(NAMES, max_size=2).map(tuple), NAMES), KINDS, min_size=1, max_size=14)


def write(folder: Path, tree: dict[tuple[tuple[str, ...], str], str]) -> tuple[set[str], set[str]]:
    """Write a tree of files; return the readable paths and those that must be skipped."""
    good, bad = set(), set()
    for number, ((parents, name), kind) in enumerate(tree.items()):
        parent = folder.joinpath(*(f"d{name}" for name in parents))
        parent.mkdir(parents=True, exist_ok=True)
        # The number makes names unique on file systems that ignore case.
        stem = f"f{name}{number}"
        pixels = np.random.default_rng(number).integers(0, 256, (6, 5, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, {"jpeg": "JPEG", "gif": "GIF"}.get(kind, "PNG"))
        content, extension = buffer.getvalue(), {"jpeg": ".jpg", "gif": ".gif"}.get(kind, ".png")
        if kind == "truncated":
            content = content[: len(content) // 2]
        elif kind == "empty":
            content = b""
        elif kind == "text":
            content = b"not an image"
        elif kind == "renamed":
            extension = ".data"
        elif kind == "notes":
            content, extension = b"shopping list", ".txt"
        path = parent / f"{stem}{extension}"
        path.write_bytes(content)
        if kind != "notes":
            (bad if kind in ("truncated", "empty", "text") else good).add(path.relative_to(folder).as_posix())
    return good, bad


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=TREES, second=TREES, k=st.sampled_from([None, 1, 2]))
def test_every_image_is_in_exactly_one_row(
    tiny_encoder: Path,
    first: dict[tuple[tuple[str, ...], str], str],
    second: dict[tuple[tuple[str, ...], str], str],
    k: int | None,
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder, out = Path(temporary, "in"), Path(temporary, "out")
        # The second tree adds files to the first and replaces some.
        for tree in (first, second):
            good, bad = write(folder, tree)
            everything = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
            good |= {path for path in everything - good - bad if _readable(folder / path)}
            bad |= {path for path in everything - good if not path.endswith(".txt")}
            try:
                summary = imgcluster.run([folder], workspace=out, encoder=tiny_encoder, device="cpu", k=k)
            except (NoImagesError, ClusteringError):
                assert len(good) < 2
                return
            assigned = _column(out / "assignments.csv")
            skipped = _column(out / "skipped.csv")
            assert sorted(assigned) == sorted(good)
            assert sorted(skipped) == sorted(bad)
            assert summary.embed.found == len(good) + len(bad)
            assert len(list((out / "clusters").rglob("f*"))) == len(good)


def _readable(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
    except Exception:
        return False
    return True


def _column(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]
