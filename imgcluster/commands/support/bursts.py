"""The bursts of a workspace, each with its sharpest photograph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from imgcluster.commands.support.contents import Contents
from imgcluster.copies.bursts import resemble, successive_pairs
from imgcluster.copies.groups import Group, connected_groups
from imgcluster.features.normalize import l2_normalize, normalize_features
from imgcluster.features.threads import one_thread
from imgcluster.images.found import found_file
from imgcluster.images.load import Loaded
from imgcluster.images.quality import fine_detail
from imgcluster.images.readers import read_each
from imgcluster.images.types import InputSpec
from imgcluster.progress import OnProgress, Progress
from imgcluster.types import Metric
from imgcluster.workspace.folder import Workspace

__all__ = ["find_bursts"]

_DETAIL_SPEC: Final = InputSpec(width=1024, height=1024, channels=1, resize="stretch")


def find_bursts(
    workspace: Workspace, contents: Contents, metric: Metric, on_progress: OnProgress
) -> tuple[list[Group], int]:
    """Return the bursts as groups of images in the order of time, and the number of images that could not be compared.

    The best image of a burst is the sharpest; the scores of the others are their share of its fine detail. Exact copies
    count once.

    Args:
        workspace: The workspace, locked.
        contents: Its contents.
        metric: How its vectors are compared.
        on_progress: Called with each step.
    """
    embeddings = contents.stored.embeddings
    signatures, rows = contents.signatures(workspace, on_progress)
    if not len(rows):
        return [], contents.left_out(rows)
    images = contents.first[rows]
    pairs = successive_pairs([embeddings.exif[image] for image in images.tolist()])
    vectors = normalize_features(embeddings.vectors[images], metric, in_place=True)
    vectors = l2_normalize(vectors - vectors.mean(axis=0), in_place=True)
    with one_thread():
        alike = resemble(signatures, vectors, pairs)
    bursts = connected_groups(pairs[alike], len(images))
    members = [image for burst in bursts for image in images[burst].tolist()]
    details = dict(
        zip(members, _details([contents.stored.files[image] for image in members], on_progress), strict=True)
    )
    ranks = dict(zip(contents.first.tolist(), contents.ranks.tolist(), strict=True))
    groups = []
    for burst in bursts:
        best, *others = sorted(images[burst].tolist(), key=lambda image: (-details[image], ranks[image]))
        scores = tuple(details[image] / details[best] if details[best] else 1.0 for image in others)
        groups.append(Group(best, tuple(others), scores))
    groups.sort(key=lambda group: (embeddings.exif[group.best].captured, ranks[group.best]))
    return groups, contents.left_out(rows)


def _details(files: Sequence[Path], on_progress: OnProgress) -> list[float]:
    """Return the fine detail of each file; 0 if it cannot be read."""
    details = []
    for done, content in enumerate(read_each(map(found_file, files), _DETAIL_SPEC), start=1):
        details.append(fine_detail(content.image.pixels[:, :, 0]) if isinstance(content, Loaded) else 0.0)
        on_progress(Progress("sharpness", done, len(files)))
    return details
