"""`import`: a workspace from vectors that another program computed, with or without the image files."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from imgcluster._version import versions
from imgcluster.commands.support.change_placed import return_interrupted_move
from imgcluster.commands.support.last_clustering import is_outdated
from imgcluster.commands.support.placed_files import moved_files, read_placement
from imgcluster.commands.support.steps import recover
from imgcluster.commands.support.stopwatch import Stopwatch
from imgcluster.commands.support.stored_workspace import in_object_storage_too
from imgcluster.commands.support.vector_files import read_vectors
from imgcluster.encoders.metadata import EncoderInfo
from imgcluster.errors import NoImagesError, UsageError, WorkspaceError
from imgcluster.features.blocks import blocks
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.digests import DIGEST_BYTES
from imgcluster.fileio.object_store import url_of
from imgcluster.fileio.path_text import absolute_path, common_base, from_text, join, relative_path, to_text
from imgcluster.images.found import found_file, storable_time
from imgcluster.images.readers import read_headers
from imgcluster.images.types import NO_EXIF
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Metric, Vectors, check_metric
from imgcluster.wording import counted
from imgcluster.workspace.file_facts import read_file_facts
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import IMPORTED
from imgcluster.workspace.shard_file import Row
from imgcluster.workspace.shard_writer import ShardWriter, remove_shards
from imgcluster.workspace.shards import all_shards, load, summarize_shards
from imgcluster.workspace.states import archive_of, begin_state
from imgcluster.workspace.table_columns import SKIPPED

__all__ = ["ImportSummary", "import_vectors"]

_ROWS_PER_STEP: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSummary:
    """What `import_vectors` found.

    Attributes:
        workspace: The workspace folder.
        vectors: The file.
        images: The number of vectors.
        embedding_size: Values per vector.
        metric: How they are compared.
        missing: Images without a file; they are clustered, but have no picture and cannot be placed.
        unchanged: Whether the workspace had the same vectors before; then nothing was written.
        base: The folder that the paths in the tables are relative to.
        seconds: Wall-clock time.
        outdated: Whether there is a clustering of other vectors.
    """

    workspace: str
    vectors: str
    images: int
    embedding_size: int
    metric: str
    missing: int
    unchanged: bool
    base: str
    seconds: float
    outdated: bool = False


@in_object_storage_too
def import_vectors(
    vectors: str | os.PathLike[str],
    paths: str | os.PathLike[str] | None = None,
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    root: str | os.PathLike[str] | None = None,
    column: str | None = None,
    metric: str = "cosine",
    fresh: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> ImportSummary:
    """Make a workspace from vectors that another program computed; every command but `embed` works on it.

    Importing again replaces the vectors by those of the file; the clustering then is that of the earlier ones, as after
    `embed`, and `assign` puts new images into it. No image is decoded, and files may be missing.

    Args:
        vectors: A file (.npy, .npz, .parquet or .csv) with one vector of any dimension for each image.
        paths: A column of `vectors` (in .npz an array), a CSV file with the column ``path``, or a file with one path
            per line; by default the column ``path``.
        workspace: The workspace folder.
        root: The folder that relative paths start from; the current folder by default.
        column: The column of the vectors, if there are several.
        metric: ``cosine`` or ``euclidean``.
        fresh: Start over in a workspace made by `embed`, or with vectors of another size or metric.
        on_progress: Called with each step.

    Raises:
        UsageError: A file cannot be read, values are not finite numbers, or paths are missing or repeated.
        NoImagesError: The file contains no vectors.
        WorkspaceError: The workspace is locked, another folder, or was made otherwise.
    """
    watch = Stopwatch()
    check_metric(metric)
    source = Path(vectors)
    values, names = read_vectors(source, None if paths is None else os.fspath(paths), column)
    if not len(values):
        raise NoImagesError(f"{source} contains no vectors")
    start = to_text(os.path.abspath(root or os.curdir))
    locations = _locations(source, names, start)
    order = sorted(range(len(locations)), key=locations.__getitem__)
    locations, values = [locations[index] for index in order], values[order]
    workspace = Workspace(workspace)
    with workspace.locked() as manifest:
        manifest = recover(workspace, manifest, on_progress=on_progress)
        journal, _ = return_interrupted_move(workspace, read_placement(workspace))
        moved = moved_files(workspace, journal)
        encoder = _encoder_record(source, values.shape[1], "euclidean" if metric == "euclidean" else "cosine")
        _refuse_other_vectors(workspace, manifest, encoder, fresh=fresh)
        record = {} if fresh else manifest
        unchanged = bool(record) and _is_stored(workspace, manifest, encoder, locations, values, moved)
        base = str(record.get("base", _base(locations, start)))
        summary = ImportSummary(
            workspace=workspace.name,
            vectors=to_text(source),
            images=len(locations),
            embedding_size=values.shape[1],
            metric=metric,
            missing=sum(not from_text(moved.get(location, location)).is_file() for location in locations),
            unchanged=unchanged,
            base=base,
            seconds=watch.seconds,
        )
        if not unchanged:
            begin_state(workspace, "import", counted(len(locations), "vector"))
            record |= {**versions(), "state": "embedding", "encoder": encoder, "base": base}
            workspace.write_manifest(record)
            if fresh:
                workspace.remove_caches()
            _replace_shards(workspace, locations, values, base, encoder["identity"], moved, on_progress)
            summary = dataclasses.replace(summary, seconds=watch.seconds)
            record |= _contents_record(workspace, encoder, summary)
            workspace.write_manifest(record)
        return dataclasses.replace(summary, outdated=is_outdated(workspace, str(record.get("fingerprint"))))


def _contents_record(workspace: Workspace, encoder: dict[str, Any], summary: ImportSummary) -> dict[str, Any]:
    current = summarize_shards(workspace.embeddings, encoder["identity"])
    return {
        "state": "embedded",
        "fingerprint": current.fingerprint,
        "roots": list(current.roots),
        "counts": {"found": current.images, "embedded": current.images, "skipped": 0},
        "import": dataclasses.asdict(summary),
    }


def _locations(source: Path, names: Sequence[str], start: str) -> list[str]:
    """Return the absolute paths, each in its shortest form.

    Raises:
        UsageError: One is empty or repeated.
    """
    if not all(names):
        raise UsageError(f"a path of {source} is empty; give each image a path of its own")
    locations = [
        name if url_of(name) else to_text(os.path.normpath(from_text(absolute_path(start, name)))) for name in names
    ]
    name, count = Counter(locations).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{name} appears {count} times among the paths of {source}; give each image a path of its own")
    return locations


def _base(locations: Sequence[str], start: str) -> str:
    """Return `start` if all images are below it, otherwise their common folder."""
    if all(location.startswith(join(start, "")) for location in locations):
        return start
    return common_base([location.rpartition("/")[0] or "/" for location in locations])


def _encoder_record(source: Path, size: int, metric: Metric) -> dict[str, Any]:
    info = EncoderInfo(
        name=IMPORTED,
        version="1",
        embedding_size=size,
        metric=metric,
        width=1,
        height=1,
        channels=3,
        source=to_text(source.name),
    )
    return {"identity": f"{IMPORTED}-{size}-{metric}", "file": "", **info.by_stored_name()}


def _refuse_other_vectors(
    workspace: Workspace, manifest: dict[str, Any], encoder: dict[str, Any], *, fresh: bool
) -> None:
    present = manifest.get("encoder", {})
    if fresh or not present or present.get("identity") == encoder["identity"]:
        return
    raise WorkspaceError(
        f"{workspace.path} contains vectors of {present.get('name')!r} ({present.get('embedding_size')} values, "
        f"{present.get('metric')}), not imported ones of {encoder['embedding_size']} values ({encoder['metric']}): "
        "start over with --fresh, or choose another workspace with -w DIR"
    )


def _is_stored(
    workspace: Workspace,
    manifest: dict[str, Any],
    encoder: dict[str, Any],
    locations: list[str],
    values: Vectors,
    moved: Mapping[str, str],
) -> bool:
    """Return whether the workspace holds these vectors and no others, and knows the files that exist."""
    before = load(workspace.embeddings, encoder["identity"])
    if manifest.get("state") != "embedded" or before.locations != locations:
        return False
    facts = read_file_facts(workspace.embeddings, encoder["identity"])
    known = zip(locations, facts.sizes.tolist(), facts.times.tolist(), strict=True)
    # Of a file that is missing now, the size of the picture would be forgotten.
    same = before.vectors.shape == values.shape and all(
        np.array_equal(block, values[rows]) for rows, block in blocks(before.vectors)
    )
    return same and all(
        _facts(from_text(moved.get(location, location))) in ((0, 0), (size, time)) for location, size, time in known
    )


def _replace_shards(
    workspace: Workspace,
    locations: list[str],
    values: Vectors,
    base: str,
    identity: str,
    moved: Mapping[str, str],
    on_progress: OnProgress,
) -> None:
    """Write all vectors to new shards, then remove the earlier ones."""
    outdated = all_shards(workspace.embeddings)
    writer = ShardWriter(workspace.embeddings, identity, archive=archive_of(workspace))
    rows: list[Row] = []
    for done, row in enumerate(_rows(locations, values, base, moved), start=1):
        rows.append(row)
        if len(rows) == _ROWS_PER_STEP or done == len(locations):
            writer.add(rows)
            rows = []
            on_progress(Progress("store", done, len(locations)))
    writer.flush()
    remove_shards(outdated, archive_of(workspace))
    write_table(workspace.skipped, SKIPPED, ())


def _rows(locations: list[str], values: Vectors, base: str, moved: Mapping[str, str]) -> Iterator[Row]:
    """Yield the rows; the digest is that of the vector, so that results do not depend on names and files."""
    files = (found_file(from_text(moved.get(location, location))) for location in locations)
    for location, (file, header), vector in zip(locations, read_headers(files), values, strict=True):
        yield Row(
            path=relative_path(location, base),
            root=base,
            size=file.size,
            mtime_ns=file.mtime_ns,
            digest=hashlib.blake2b(vector.tobytes(), digest_size=DIGEST_BYTES).digest(),
            width=header.width if header else 0,
            height=header.height if header else 0,
            embedding=vector,
            exif=header.exif if header else NO_EXIF,
        )


def _facts(path: Path) -> tuple[int, int]:
    """Return size and modification time; zeros where there is no file."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_size, storable_time(facts.st_mtime_ns)
