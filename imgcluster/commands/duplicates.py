"""`duplicates`: exact copies and near-copies, in groups around the best image of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imgcluster.commands.signatures import content_digests, load_signatures
from imgcluster.commands.steps import rewrite_page
from imgcluster.commands.stopwatch import Stopwatch
from imgcluster.commands.stored_images import StoredImages, current_results, read_images
from imgcluster.copies.groups import Group, best_first, group_around_best, propose_pairs
from imgcluster.copies.near_copies import NEAR_COPY, agreement
from imgcluster.copies.signatures import orientation_invariants
from imgcluster.features.duplicate_vectors import find_duplicates
from imgcluster.features.nearest import nearest_images
from imgcluster.features.normalize import normalize_features
from imgcluster.fileio.csv_tables import write_table
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE
from imgcluster.progress import OnProgress, Progress, ignore_progress
from imgcluster.types import Vectors
from imgcluster.workspace.files import FileFacts, read_file_facts
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import IMPORTED, encoder_identity, encoder_metric
from imgcluster.workspace.table_columns import DUPLICATES, DuplicateRow

__all__ = ["DuplicatesSummary", "duplicates"]

# Of each image this many neighbors are compared: by their embeddings, and by what does not change when it is turned.
_NEIGHBORS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesSummary:
    """What `duplicates` found.

    Attributes:
        workspace: The workspace folder.
        images: Images in the workspace.
        groups: The number of groups.
        exact: Images that are exact copies of their group's best image.
        near: Images that are near-copies of it.
        bytes: The size of the files of all these copies.
        not_compared: Images whose file is missing or has changed since it was embedded; only exact copies of these are
            found.
        threshold: The least score of a near-copy.
        duplicates: The rows of ``duplicates.csv``.
        table: The table.
        report: The page; empty without a clustering of these images.
        seconds: Wall-clock time.
    """

    workspace: str
    images: int
    groups: int
    exact: int
    near: int
    bytes: int
    not_compared: int
    threshold: float
    duplicates: tuple[DuplicateRow, ...]
    table: str
    report: str
    seconds: float


def duplicates(
    *,
    workspace: str | os.PathLike[str] = DEFAULT_WORKSPACE,
    exact: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> DuplicatesSummary:
    """Find exact copies and near-copies: the same picture in another size, quality, format, crop or color.

    Every image of a group is a copy of the group's best image, which has the most pixels, then the least compression,
    then the sharpest edges, then the oldest file. ``duplicates.csv`` and the page list them; no file is changed.

    Args:
        workspace: The workspace folder.
        exact: Whether to find exact copies only, without reading images.
        on_progress: Called with each step.

    Raises:
        WorkspaceError: Nothing is embedded, or another process uses the workspace.
    """
    watch = Stopwatch()
    workspace = Workspace(workspace)
    workspace.require_initialized()
    with workspace.locked() as manifest:
        images = read_images(workspace, manifest, on_progress)
        facts = read_file_facts(workspace.embeddings, encoder_identity(workspace, manifest))
        digests = images.embeddings.digests
        if manifest["encoder"]["name"] == IMPORTED:
            # Their stored digests are those of the vectors.
            digests = content_digests(images.files, on_progress)
        contents = _Contents(images, facts, digests)
        vectors = normalize_features(images.embeddings.vectors[contents.first], encoder_metric(manifest), in_place=True)
        groups, missing = ([], 0) if exact else _near_copies(workspace, contents, vectors, on_progress)
        rows = tuple(_rows(contents.with_exact_copies(groups), contents))
        write_table(workspace.duplicates_table, DUPLICATES, (row.fields for row in rows))
        report = ""
        results = current_results(workspace, images.embeddings)
        if results is not None:
            rewrite_page(workspace, results, on_progress)
            report = to_text(workspace.report)
    copies = [row for row in rows if row.kind != "best"]
    return DuplicatesSummary(
        workspace=to_text(workspace.path),
        images=len(images.paths),
        groups=len(rows) - len(copies),
        exact=sum(row.kind == "exact" for row in copies),
        near=sum(row.kind == "near" for row in copies),
        bytes=sum(row.bytes for row in copies),
        not_compared=missing,
        threshold=NEAR_COPY,
        duplicates=rows,
        table=to_text(workspace.duplicates_table),
        report=report,
        seconds=watch.seconds,
    )


class _Contents:
    """The distinct contents of files, in an order that does not depend on names.

    Attributes:
        stored: All images.
        facts: Their files.
        digests: Those of the files.
        images: The images of each content, the best file first.
        first: The first of these, ``int64 (m,)``.
        ranks: The rank of each content, ``int64 (m,)``; 0 is the best.
    """

    def __init__(self, stored: StoredImages, facts: FileFacts, digests: Sequence[bytes]) -> None:
        self.stored, self.facts, self.digests = stored, facts, digests
        embeddings = stored.embeddings
        pixels = embeddings.sizes.astype(np.int64).prod(axis=1)
        sharpness = embeddings.statistics[:, 3]
        ranks = best_first(pixels, facts.sizes, sharpness, facts.times, embeddings.locations)
        images: dict[bytes, list[int]] = {}
        for index in sorted(range(len(digests)), key=digests.__getitem__):
            images.setdefault(digests[index], []).append(index)
        self.images = [sorted(found, key=ranks.__getitem__) for found in images.values()]
        self.first = np.array([found[0] for found in self.images], np.int64)
        self.ranks = ranks[self.first]

    def with_exact_copies(self, groups: Sequence[Group]) -> list[Group]:
        """Return groups of contents as groups of images; exact copies have the score 1 and form groups as well."""
        grouped = {content for group in groups for content in (group.best, *group.members)}
        alone = [
            Group(content, (), ())
            for content, images in enumerate(self.images)
            if len(images) > 1 and content not in grouped
        ]
        result = []
        for group in sorted([*groups, *alone], key=lambda group: int(self.ranks[group.best])):
            best, *copies = self.images[group.best]
            near = [
                (image, score)
                for content, score in zip(group.members, group.scores, strict=True)
                for image in self.images[content]
            ]
            members = [(image, 1.0) for image in copies] + near
            result.append(Group(best, tuple(image for image, _ in members), tuple(score for _, score in members)))
        return result


def _near_copies(
    workspace: Workspace, contents: _Contents, vectors: Vectors, on_progress: OnProgress
) -> tuple[list[Group], int]:
    """Return the groups of contents, and the number of images that could not be compared."""
    signatures, rows = load_signatures(
        workspace,
        [contents.digests[index] for index in contents.first.tolist()],
        [[contents.stored.files[index] for index in images] for images in contents.images],
        contents.stored.embeddings.sizes[contents.first],
        on_progress,
    )
    on_progress(Progress("neighbors", 0))
    pairs = _candidates(signatures.gray, vectors[rows])

    def compare(wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return agreement(signatures, wanted, step=lambda done: on_progress(Progress("compare", done, len(wanted))))

    groups = group_around_best(contents.ranks[rows], pairs, compare, NEAR_COPY)
    compared = [
        Group(int(rows[group.best]), tuple(rows[list(group.members)].tolist()), group.scores) for group in groups
    ]
    left_out = set(range(len(contents.images))) - set(rows.tolist())
    return compared, sum(len(contents.images[content]) for content in left_out)


def _candidates(gray: npt.NDArray[np.uint8], vectors: Vectors) -> npt.NDArray[np.int64]:
    """Return the pairs of images that may be copies, ``int64 (p, 2)``."""
    # Many equal pictures, such as one with different metadata, would have no other neighbors.
    distinct, copies = find_duplicates(gray.reshape(len(gray), -1))
    equal = np.stack([distinct[copies], np.arange(len(gray))], axis=1)
    neighbors = [
        nearest_images(vectors[distinct], _NEIGHBORS)[1],
        nearest_images(orientation_invariants(gray[distinct]), _NEIGHBORS)[1],
    ]
    pairs = np.concatenate([distinct[propose_pairs(neighbors)].reshape(-1, 2), equal])
    return np.asarray(pairs[pairs[:, 0] != pairs[:, 1]], np.int64)


def _rows(groups: Sequence[Group], contents: _Contents) -> Iterator[DuplicateRow]:
    stored = contents.stored
    for number, group in enumerate(groups, start=1):
        for image, score in zip((group.best, *group.members), (1.0, *group.scores), strict=True):
            same = contents.digests[image] == contents.digests[group.best]
            width, height = stored.embeddings.sizes[image].tolist()
            yield DuplicateRow(
                group=number,
                path=stored.paths[image],
                kind="best" if image == group.best else "exact" if same else "near",
                best=stored.paths[group.best],
                score=round(score, 4),
                width=width,
                height=height,
                bytes=int(contents.facts.sizes[image]),
            )
