"""The distinct contents of a workspace's files: exact copies count once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from imgcluster.commands.support.signatures import content_digests, load_signatures
from imgcluster.commands.support.stored_images import StoredImages, read_images
from imgcluster.copies.groups import Group, best_first
from imgcluster.copies.signatures import Signatures
from imgcluster.progress import OnProgress, ignore_progress
from imgcluster.types import Labels
from imgcluster.workspace.file_facts import FileFacts, read_file_facts
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.results import IMPORTED, encoder_identity
from imgcluster.workspace.table_columns import DuplicateRow

__all__ = ["Contents", "read_contents"]


class Contents:
    """The distinct contents of files, in an order that does not depend on names; without images that are set aside.

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
        ranks = best_first(
            pixels,
            embeddings.exif,
            facts.times,
            facts.sizes,
            sharpness,
            embeddings.locations,
            embeddings.companions,
        )
        images: dict[bytes, list[int]] = {}
        for index in sorted(range(len(digests)), key=digests.__getitem__):
            if embeddings.locations[index] in stored.set_aside:
                continue
            images.setdefault(digests[index], []).append(index)
        self.images = [sorted(indices, key=ranks.__getitem__) for indices in images.values()]
        self.first = np.array([indices[0] for indices in self.images], np.int64)
        self.ranks = ranks[self.first]

    def signatures(self, workspace: Workspace, on_progress: OnProgress) -> tuple[Signatures, Labels]:
        """Return the signatures of contents, and the contents that have one, ``int64 (k,)``."""
        return load_signatures(
            workspace,
            [self.digests[index] for index in self.first.tolist()],
            [[self.stored.files[index] for index in images] for images in self.images],
            self.stored.embeddings.sizes[self.first],
            on_progress,
        )

    def left_out(self, contents: Labels) -> int:
        """Return the number of images whose content is not among `contents`."""
        rest = set(range(len(self.images))) - set(contents.tolist())
        return sum(len(self.images[content]) for content in rest)

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

    def rows(self, groups: Sequence[Group], kind: str) -> Iterator[DuplicateRow]:
        """Yield the rows of groups of images; `kind` is that of the copies that are not exact."""
        stored = self.stored
        for number, group in enumerate(groups, start=1):
            for image, score in zip((group.best, *group.members), (1.0, *group.scores), strict=True):
                width, height = stored.embeddings.sizes[image].tolist()
                yield DuplicateRow(
                    group=number,
                    path=stored.paths[image],
                    kind=self._kind(image, group.best, kind),
                    best=stored.paths[group.best],
                    score=round(score, 4),
                    width=width,
                    height=height,
                    bytes=int(self.facts.sizes[image]),
                )

    def _kind(self, image: int, best: int, otherwise: str) -> str:
        if image == best:
            return "best"
        same = self.digests[image] == self.digests[best]
        return "exact" if same and self._has_second_file_of(best, image) else otherwise

    def _has_second_file_of(self, best: int, image: int) -> bool:
        """Return whether `best` has a second file with the content of that of `image`, or `image` has none."""
        second, of_best = self.stored.second_files[image], self.stored.second_files[best]
        if second is None or of_best is None:
            return second is None
        digest, digest_of_best = content_digests([second, of_best], ignore_progress)
        return digest == digest_of_best


def read_contents(workspace: Workspace, manifest: dict[str, Any], on_progress: OnProgress) -> Contents:
    """Read the images of a locked workspace with this manifest.

    Raises:
        WorkspaceError: Nothing is embedded.
    """
    images = read_images(workspace, manifest, on_progress)
    digests = images.embeddings.digests
    if manifest["encoder"]["name"] == IMPORTED:
        # Their stored digests are those of the vectors.
        digests = content_digests(images.files, on_progress)
    return Contents(images, read_file_facts(workspace.embeddings, encoder_identity(workspace, manifest)), digests)
