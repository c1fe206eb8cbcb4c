"""Shards of the work: each of N processes embeds a part of the files, in a workspace of its own inside the shared one.

``shards/2-of-8/`` is an ordinary workspace with its own lock, manifest, embeddings and skipped images. It also lists
the images of the shared workspace that it found removed. Joining moves its rows into the shared workspace.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imgcluster.errors import UsageError, WorkspaceError
from imgcluster.fileio.atomic import remove, remove_if_empty
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.shards import all_shards

__all__ = [
    "REMOVED",
    "WorkShard",
    "discard_joined",
    "every_shard",
    "refuse_other_counts",
    "refuse_unjoined",
    "shard_files",
    "state_of_embeddings",
    "work_shards",
]

REMOVED: Final = ("path",)
"""The columns of ``removed.csv``."""

_TEXT: Final = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_NAME: Final = re.compile(r"([0-9]{1,6})-of-([0-9]{1,6})")


@dataclass(frozen=True, slots=True, order=True)
class WorkShard:
    """Shard `number`, from 0, of `count`."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> WorkShard:
        """Return the shard that ``--shard`` names.

        Raises:
            UsageError: The text is not I/N with I from 0 to N−1.
        """
        match = _TEXT.fullmatch(text)
        shard = cls(*map(int, match.groups())) if match else None
        if shard is None or shard.number >= shard.count:
            raise UsageError(f"--shard {text!r} is not allowed; give I/N with I from 0 to N-1, such as 0/4")
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def takes(self, path: str) -> bool:
        """Return whether the file at `path`, relative to the base folder, belongs to this shard.

        A camera raw file and its JPEG, which are one image, belong to the same shard.
        """
        folder, _, name = path.rpartition("/")
        key = f"{folder}/{(name.rpartition('.')[0] or name).casefold()}"
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % self.count == self.number

    def workspace(self, shared: Workspace) -> Workspace:
        """Return the shard's own workspace inside the shared one."""
        return Workspace(shared.shards / f"{self.number}-of-{self.count}")


def work_shards(shared: Workspace) -> list[WorkShard]:
    """Return the shards that were started and not joined yet, sorted."""
    if not shared.shards.is_dir():
        return []
    names = (_NAME.fullmatch(path.name) for path in shared.shards.iterdir())
    return sorted(WorkShard(int(match[1]), int(match[2])) for match in names if match)


def every_shard(parts: Iterable[WorkShard]) -> list[WorkShard]:
    """Return all shards of the sets that the parts are of, sorted."""
    return sorted(WorkShard(number, count) for count in {part.count for part in parts} for number in range(count))


def refuse_other_counts(part: WorkShard, present: Iterable[WorkShard], folder: str) -> None:
    """Raise `WorkspaceError` if a shard is of another number than those that are `present` in `folder`."""
    others = {other.count for other in present} - {part.count}
    if others:
        raise WorkspaceError(
            f"the shards in {folder} are of {min(others)}, and {part} is not one of them: give --shard "
            f"I/{min(others)}, or delete {folder} to give up on them"
        )


def refuse_unjoined(shared: Workspace, *, joining: Collection[Path] = ()) -> None:
    """Raise `WorkspaceError` if a workspace has shards that are not joined, except those in the folders `joining`."""
    if any(part.workspace(shared).path not in joining for part in work_shards(shared)):
        raise WorkspaceError(
            f"{shared.path} has shards that are not joined: first run {shared.command('embed --finish')}, or delete "
            f"the folder {shared.shards}"
        )


def state_of_embeddings(shared: Workspace) -> str:
    """Return a digest that changes with the embeddings of a workspace."""
    names = [path.name for path in all_shards(shared.embeddings)]
    if not names:
        return ""
    facts = " ".join([str(shared.manifest.get("fingerprint", "")), *names])
    return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()


def discard_joined(shared: Workspace) -> None:
    """Remove the shards, whose rows are in the shared workspace now; files that imgcluster did not write stay.

    Raises:
        WorkspaceError: Such files are left of an earlier time.
    """
    _clear(shared.joined_shards)
    if shared.joined_shards.exists():
        raise WorkspaceError(f"{shared.joined_shards} contains files of others; move them elsewhere, then repeat this")
    if shared.shards.exists():
        joined = shared.joined_shards
        try:
            # In one step: some of the shards would look like a gap.
            os.rename(shared.shards, joined)
        except OSError as error:
            # In a container, folders of the image cannot be renamed.
            if error.errno != errno.EXDEV:
                raise
            joined = shared.shards
        _clear(joined)


def _clear(folder: Path) -> None:
    if not folder.is_dir():
        return
    for shard in [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]:
        _remove_shard(Workspace(shard))
    remove_if_empty(folder)


def _remove_shard(shard: Workspace) -> None:
    for file in shard_files(shard):
        remove(file)
    remove_if_empty(shard.embeddings)
    # Without the marker the folder must be empty, or it would not be ours after a kill.
    for file in (shard.lock, shard.marker):
        remove(file)
    remove_if_empty(shard.path)


def shard_files(shard: Workspace) -> list[Path]:
    """Return the files of a shard that joining reads, whether they exist or not; the manifest is the last."""
    return [*all_shards(shard.embeddings), shard.skipped, shard.removed_table, shard.manifest_file]
