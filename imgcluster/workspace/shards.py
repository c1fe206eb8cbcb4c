"""Embeddings in numbered Parquet shards.

A shard is never modified. New rows are written to new shards; a shard with outdated rows is replaced by one with a
higher number. Of several rows of one file the one in the highest shard is current, so that an interruption at any
moment leaves a consistent state.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from imgcluster.images.types import NO_EXIF, Exif
from imgcluster.types import ClassScores
from imgcluster.workspace.shard_columns import EXIF, SCORES, STATISTICS
from imgcluster.workspace.shard_file import (
    exif_of,
    identity_of,
    locations_of,
    no_scores,
    read_columns,
    read_files,
    read_schema,
    read_vectors,
    scores_of,
    thumbnails_of,
)
from imgcluster.workspace.stored_vectors import StoredVectors

__all__ = [
    "Embeddings",
    "EmbeddingsSummary",
    "all_shards",
    "list_shards",
    "load",
    "locations",
    "shard_number",
    "summarize_shards",
    "thumbnails",
]

_STREAMED_FROM: Final = 256 << 20

_NAME: Final = re.compile(r"shard-[0-9]{6,}\.parquet")


@dataclass(frozen=True, slots=True)
class Embeddings:
    """All embeddings of a workspace, sorted by location.

    Attributes:
        locations: The n absolute paths, as texts.
        roots: The distinct folders that the user named, sorted.
        sizes: Width and height of the originals in pixels, ``int32 (n, 2)``.
        statistics: Brightness, colorfulness, contrast and sharpness, ``float32 (n, 4)``; NaN if not measured.
        exif: Capture time, camera and orientation of each image.
        vectors: ``float32 (n, embedding_size)``; more than 256 MB stay in the shards, as a `types.VectorRows`.
        fingerprint: A digest of all paths, contents and the encoder.
        content_order: The rows sorted by the digests of the files, ``int64 (n,)``; it does not depend on file names.
        digests: The digests of the files.
        companions: The absolute path, as text, of the second file of each image; "" if there is none.
        scores: The most probable classes; None if no image has them.
    """

    locations: list[str]
    roots: tuple[str, ...]
    sizes: npt.NDArray[np.int32]
    statistics: npt.NDArray[np.float32]
    exif: list[Exif]
    vectors: npt.NDArray[np.float32]
    fingerprint: str
    content_order: npt.NDArray[np.int64]
    digests: list[bytes] = field(default_factory=list)
    companions: list[str] = field(default_factory=list)
    scores: ClassScores | None = None

    @property
    def files(self) -> frozenset[str]:
        """The absolute paths, as texts, of all files of the images."""
        return frozenset(self.locations) | frozenset(filter(None, self.companions))


@dataclass(frozen=True, slots=True)
class EmbeddingsSummary:
    """The number of images, and `roots` and `fingerprint` as in `Embeddings`."""

    images: int
    roots: tuple[str, ...]
    fingerprint: str


def list_shards(folder: Path, identity: str) -> list[Path]:
    """Return the shards of one encoder in `folder`, oldest first.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    return [path for path in all_shards(folder) if identity_of(path) == identity]


def all_shards(folder: Path) -> list[Path]:
    """Return the shards of all encoders in `folder`, oldest first."""
    try:
        # Not by `glob`, for which a folder that cannot be read is an empty one.
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    # Copies such as "shard-000001 (1).parquet", made by cloud folders, are ignored.
    return sorted((folder / name for name in names if _NAME.fullmatch(name)), key=shard_number)


def locations(folder: Path) -> set[str]:
    """Return the absolute paths, as texts, of all files of images in any shard in `folder`.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    paths: set[str] = set()
    for shard in all_shards(folder):
        for location, _, _, companion in read_files(shard):
            paths.update((location, companion) if companion else (location,))
    return paths


def summarize_shards(folder: Path, identity: str) -> EmbeddingsSummary:
    """Summarize what `load` would return without reading the vectors; needs about 40 bytes per image.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    numbers: dict[str, int] = {}
    # Per row: a 128-bit hash of the path, the 128 bits of `_row_hash` in four parts, and the source's number.
    keys = [np.empty((0, 2), np.uint64)]
    hashes = [np.empty((0, 4), np.uint32)]
    source_numbers = [np.empty(0, np.int32)]
    for shard in list_shards(folder, identity):
        rows = read_files(shard)
        located = b"".join(hashlib.blake2b(location.encode(), digest_size=16).digest() for location, *_ in rows)
        hashed = b"".join(
            _row_hash(location, digest, companion).to_bytes(16, "little") for location, digest, _, companion in rows
        )
        keys.append(np.frombuffer(located, "<u8").reshape(-1, 2))
        hashes.append(np.frombuffer(hashed, "<u4").reshape(-1, 4))
        source_numbers.append(
            np.array([numbers.setdefault(source, len(numbers)) for _, _, source, _ in rows], np.int32)
        )
    key = np.concatenate(keys)
    order = np.lexsort((key[:, 0], key[:, 1]))
    # The sort is stable: of several rows of one file the last one is current.
    last = np.append((key[order[1:]] != key[order[:-1]]).any(axis=1), True)[: len(order)]
    newest = order[last]
    parts = np.concatenate(hashes)[newest].sum(axis=0, dtype=np.uint64)
    total = sum(int(part) << (32 * position) for position, part in enumerate(parts))
    present = set(np.concatenate(source_numbers)[newest].tolist())
    roots = tuple(sorted(root for root, number in numbers.items() if number in present))
    return EmbeddingsSummary(len(newest), roots, _fingerprint(total, identity))


def load(folder: Path, identity: str) -> Embeddings:
    """Read the current embeddings, sorted by path, so that the order of embedding does not matter.

    Args:
        folder: The folder of the shards.
        identity: The encoder's.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    current = _current_rows(list_shards(folder, identity))
    columns = _read_columns(current)
    total = sum(map(_row_hash, current.locations, current.digests, current.companions))
    order = sorted(range(len(current.digests)), key=current.digests.__getitem__)
    return Embeddings(
        locations=current.locations,
        roots=tuple(sorted(set(current.sources))),
        sizes=columns.sizes,
        statistics=columns.statistics,
        exif=columns.exif,
        vectors=columns.vectors,
        fingerprint=_fingerprint(total, identity),
        content_order=np.array(order, dtype=np.int64),
        digests=current.digests,
        companions=current.companions,
        scores=columns.scores,
    )


@dataclass(frozen=True, slots=True)
class _CurrentRows:
    """The current row of each of n files, sorted by location.

    Attributes:
        shards: All shards, oldest first.
        targets: For each shard the position of each of its rows among the n, ``int64``; −1 for outdated rows.
        locations: The absolute paths, as texts.
        digests: Those of the files.
        sources: The folders that the user named.
        companions: As in `Embeddings`.
    """

    shards: list[Path]
    targets: list[npt.NDArray[np.int64]]
    locations: list[str]
    digests: list[bytes]
    sources: list[str]
    companions: list[str]


def _current_rows(shards: list[Path]) -> _CurrentRows:
    current: dict[str, tuple[int, int, bytes, str, str]] = {}
    targets = []
    for number, shard in enumerate(shards):
        files = read_files(shard)
        targets.append(np.full(len(files), -1, dtype=np.int64))
        for row, (location, digest, source, companion) in enumerate(files):
            current[location] = (number, row, digest, source, companion)
    newest = sorted(current.items())
    for position, (_, (number, row, *_)) in enumerate(newest):
        targets[number][row] = position
    return _CurrentRows(
        shards=shards,
        targets=targets,
        locations=[location for location, _ in newest],
        digests=[digest for _, (_, _, digest, _, _) in newest],
        sources=[source for _, (_, _, _, source, _) in newest],
        companions=[companion for _, (_, _, _, _, companion) in newest],
    )


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the shards store of the current rows, as in `Embeddings`."""

    vectors: npt.NDArray[np.float32]
    sizes: npt.NDArray[np.int32]
    statistics: npt.NDArray[np.float32]
    exif: list[Exif]
    scores: ClassScores | None


def _read_columns(current: _CurrentRows) -> _Columns:
    shards, count = current.shards, len(current.locations)
    first = read_vectors(shards[0]) if shards else np.empty((0, 0), dtype=np.float32)
    dimensions = first.shape[1]
    stays = 4 * dimensions * count > _STREAMED_FROM
    vectors = np.empty((0 if stays else count, dimensions), dtype=np.float32)
    sizes = np.zeros((count, 2), dtype=np.int32)
    statistics = np.full((count, len(STATISTICS)), np.nan, dtype=np.float32)
    exif = [NO_EXIF] * count
    scores: ClassScores | None = None
    for shard, target in zip(shards, current.targets, strict=True):
        present = set(read_schema(shard).names)
        measured = [name for name in STATISTICS if name in present]
        further = [name for names in (EXIF, SCORES) if set(names) <= present for name in names]
        table = read_columns(shard, ["width", "height", *measured, *further])
        used = np.flatnonzero(target >= 0)
        rows = target[used]
        if not stays:
            block = first if shard == shards[0] else read_vectors(shard, dimensions)
            # Nearly always all rows, which need no copy then.
            vectors[rows] = block if len(used) == len(block) else block[used]
        sizes[rows, 0] = table.column("width").to_numpy()[used]
        sizes[rows, 1] = table.column("height").to_numpy()[used]
        for name in measured:
            statistics[rows, STATISTICS.index(name)] = table.column(name).to_numpy()[used]
        for position, value in zip(target.tolist(), exif_of(table), strict=True):
            if position >= 0:
                exif[position] = value
        if set(SCORES) <= present:
            scores = scores or no_scores(count)
            stored = scores_of(table)
            scores.classes[rows] = stored.classes[used]
            scores.probabilities[rows] = stored.probabilities[used]
    if stays:
        read = partial(read_vectors, dimensions=dimensions)
        vectors = cast(Any, StoredVectors(shards, current.targets, (count, dimensions), read))
    return _Columns(vectors, sizes, statistics, exif, scores)


def thumbnails(folder: Path, identity: str, requested: Collection[str]) -> dict[str, bytes]:
    """Return the thumbnails of the images at these locations, as far as there are any.

    Raises:
        WorkspaceError: A shard is damaged.
    """
    images: dict[str, bytes] = {}
    for shard in list_shards(folder, identity):
        if "thumbnail" not in read_schema(shard).names:
            continue
        table = read_columns(shard, ["root", "path"])
        rows = [(row, location) for row, location in enumerate(locations_of(table)) if location in requested]
        if rows:
            chosen = read_columns(shard, ["thumbnail"]).take([row for row, _ in rows])
            images |= zip((location for _, location in rows), thumbnails_of(chosen), strict=True)
    return images


def _row_hash(location: str, digest: bytes, companion: str) -> int:
    content = location.encode() + b"\0" + digest + companion.encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=16).digest(), "big")


def _fingerprint(total: int, identity: str) -> str:
    # `total` is a sum, so it does not depend on the order in which shards are read.
    return hashlib.blake2b(f"{identity} {total % 2**128}".encode(), digest_size=16).hexdigest()


def shard_number(shard: Path) -> int:
    """Return the number in a shard's name."""
    return int(shard.stem.removeprefix("shard-"))
