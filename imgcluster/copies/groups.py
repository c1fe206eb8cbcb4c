"""Groups of copies around a best image, without chaining: every member is a near-copy of the best one itself."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imgcluster.images.types import Exif
from imgcluster.types import Labels

__all__ = ["Group", "best_first", "connected_groups", "group_around_best", "propose_pairs"]

_Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """A best image and its copies, the best of them first, each with its score."""

    best: int
    members: tuple[int, ...]
    scores: tuple[float, ...]


def best_first(
    pixels: npt.NDArray[np.int64],
    exif: Sequence[Exif],
    times: npt.NDArray[np.int64],
    file_sizes: npt.NDArray[np.int64],
    sharpness: npt.NDArray[np.float32],
    paths: Sequence[str],
    second_files: Sequence[str],
) -> npt.NDArray[np.int64]:
    """Return the rank of each image, 0 being the best: most pixels, then the original, then the least compression.

    The original is the image with a second file, its raw file; then the file with camera and capture time in EXIF,
    which most programs drop when they save a copy, or keep; then the one that was taken, and last changed, earlier.

    Args:
        pixels: Width times height, ``int64 (n,)``.
        exif: Of each image.
        times: When the file was changed, in nanoseconds, ``int64 (n,)``.
        file_sizes: In bytes, ``int64 (n,)``. In one format more bytes are less compression; formats do not compare.
        sharpness: ``float32 (n,)``; NaN if it is not known.
        paths: The last resort, for equal files.
        second_files: The name of the second file of each image; "" if it has one file.
    """
    sharp = np.nan_to_num(sharpness, nan=-np.inf)

    def key(image: int) -> tuple[object, ...]:
        facts, path = exif[image], paths[image]
        # Files that were copied together, without their times, are equally old.
        seconds = int(times[image]) // 1_000_000_000
        original = (not second_files[image], -bool(facts.camera) - bool(facts.captured), facts.captured, seconds)
        return (-pixels[image], *original, _extension(path), -file_sizes[image], -sharp[image], path)

    ranks = np.empty(len(paths), np.int64)
    ranks[sorted(range(len(paths)), key=key)] = np.arange(len(paths))
    return ranks


def _extension(path: str) -> str:
    extension = posixpath.splitext(path)[1].lower()
    return {".jpeg": ".jpg", ".tiff": ".tif"}.get(extension, extension)


def propose_pairs(neighbors: Sequence[npt.NDArray[np.int64]]) -> _Pairs:
    """Return the distinct pairs (smaller index first) of images and their neighbors, ``int64 (p, 2)``.

    Args:
        neighbors: Neighbors of all images, each ``int64 (n, k)``.
    """
    pairs = [
        np.stack([np.repeat(np.arange(len(nearest)), nearest.shape[1]), nearest.ravel()], axis=1)
        for nearest in neighbors
        if nearest.size
    ]
    if not pairs:
        return np.empty((0, 2), np.int64)
    every = np.sort(np.concatenate(pairs), axis=1)
    return np.asarray(np.unique(every[every[:, 0] != every[:, 1]], axis=0), np.int64)


def group_around_best(
    ranks: npt.NDArray[np.int64],
    pairs: _Pairs,
    compare: Callable[[_Pairs], npt.NDArray[np.float32]],
    threshold: float,
) -> list[Group]:
    """Return the groups with at least two images, those of the best-ranked images first.

    The best image of everything that is connected by near-copies takes its own near-copies; the best of what is left
    takes its own, and so on.

    Args:
        ranks: The rank of each image, ``int64 (n,)``; 0 is the best.
        pairs: Images that may be copies, ``int64 (p, 2)``.
        compare: Returns the scores of pairs, ``float32 (p,)``.
        threshold: The least score of a near-copy.
    """
    scores: dict[tuple[int, int], float] = {}

    def score(requested: list[tuple[int, int]]) -> None:
        new = [pair for pair in dict.fromkeys(requested) if pair not in scores]
        if new:
            scores.update(zip(new, compare(np.array(new, np.int64)).tolist(), strict=True))

    score([(int(one), int(other)) for one, other in pairs])
    linked = np.array([pair for pair, value in scores.items() if value >= threshold], np.int64).reshape(-1, 2)
    rest = [sorted(members, key=ranks.__getitem__) for members in connected_groups(linked, len(ranks))]
    groups = []
    while rest:
        score([_pair(members[0], other) for members in rest for other in members[1:]])
        left = []
        for best, *others in rest:
            values = {other: scores[_pair(best, other)] for other in others}
            copies = [other for other in others if values[other] >= threshold]
            if copies:
                groups.append(Group(best, tuple(copies), tuple(values[other] for other in copies)))
            unlike = [other for other in others if values[other] < threshold]
            if len(unlike) > 1:
                left.append(unlike)
        rest = left
    return sorted(groups, key=lambda group: int(ranks[group.best]))


def _pair(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)


def connected_groups(links: _Pairs, count: int) -> list[list[int]]:
    """Return the images that links (pairs of `count` images) connect, for each group of more than one."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(links):
        return []
    graph = csr_matrix((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(count, count))
    labels: Labels = np.asarray(connected_components(graph, directed=False)[1], np.int64)
    involved = np.unique(links)
    members: dict[int, list[int]] = {}
    for image in involved.tolist():
        members.setdefault(int(labels[image]), []).append(image)
    return list(members.values())
