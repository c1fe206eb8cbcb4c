"""The signatures of a workspace's images: from its cache, or computed from the files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgcluster.copies.signatures import COLOR_SIDE, SIDE, SIGNATURE_SPEC, Signatures, signature
from imgcluster.fileio.digests import DIGEST_BYTES, file_digest
from imgcluster.fileio.in_threads import in_order
from imgcluster.images.found import found_file
from imgcluster.images.load import Loaded
from imgcluster.images.readers import read_each
from imgcluster.machine import processors
from imgcluster.progress import OnProgress, Progress
from imgcluster.workspace.folder import Workspace
from imgcluster.workspace.signature_cache import read_signatures, write_signatures

__all__ = ["content_digests", "load_signatures"]

_SHAPES = (SIDE, SIDE), (COLOR_SIDE, COLOR_SIDE, 2)


def load_signatures(
    workspace: Workspace,
    digests: Sequence[bytes],
    files: Sequence[Sequence[Path]],
    sizes: npt.NDArray[np.int32],
    on_progress: OnProgress,
) -> tuple[Signatures, npt.NDArray[np.int64]]:
    """Return the signatures of images, and the positions of those that have one, ``int64 (m,)``.

    An image has none if all its files are missing, or have changed since they were embedded.

    Args:
        workspace: The workspace, locked.
        digests: Of each image's files, all different.
        files: Where the files with each content are now.
        sizes: Width and height of each original, ``int32 (n, 2)``.
        on_progress: Called with each step.
    """
    stored = read_signatures(workspace.signatures, _SHAPES)
    missing = [position for position, digest in enumerate(digests) if digest not in stored]
    known = {digest: stored[digest] for digest in digests if digest in stored}
    # The first file of each content, then the second of those whose first is missing or has changed, and so on.
    for copy in range(max((len(files[position]) for position in missing), default=0)):
        tried = [at for at in missing if digests[at] not in known and copy < len(files[at])]
        with closing(read_each((found_file(files[at][copy]) for at in tried), SIGNATURE_SPEC)) as contents:
            for done, (position, content) in enumerate(zip(tried, contents, strict=True), start=1):
                if isinstance(content, Loaded) and content.digest == digests[position]:
                    known[content.digest] = signature(content.image.pixels)
                on_progress(Progress("signatures", done, len(tried)))
    if known.keys() != stored.keys():
        write_signatures(workspace.signatures, known)
    rows = np.array([position for position, digest in enumerate(digests) if digest in known], np.int64)
    chosen = [known[digests[position]] for position in rows]
    gray = np.array([one for one, _ in chosen], np.uint8).reshape(-1, *_SHAPES[0])
    color = np.array([one for _, one in chosen], np.uint8).reshape(-1, *_SHAPES[1])
    return Signatures(gray, color, sizes[rows]), rows


def content_digests(files: Sequence[Path], on_progress: OnProgress) -> list[bytes]:
    """Return the BLAKE2b-128 of each file; for a missing one, that of its path, which equals no other."""
    digests = []
    for done, (_, digest) in enumerate(in_order(_digest, files, processors()), start=1):
        digests.append(digest)
        on_progress(Progress("signatures", done, len(files)))
    return digests


def _digest(file: Path) -> bytes:
    try:
        return file_digest(file)
    except OSError:
        return hashlib.blake2b(b"no file: " + os.fsencode(file), digest_size=DIGEST_BYTES).digest()
