"""Where the local copy of a workspace in object storage is on this computer."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from imgcluster.fileio.object_store import store_endpoint, store_url
from imgcluster.fileio.path_text import from_text

__all__ = ["ADDRESS", "folder_of", "local_copy", "url_of_copy"]

ADDRESS: Final = "address.txt"
"""The file beside a local copy that contains the workspace's URL."""

_COPY: Final = "workspace"


def local_copy(url: str) -> Path:
    """Return the folder of the local copy of the workspace at a URL of `store_url`. It may not exist.

    It is in ``IMGCLUSTER_COPIES``, by default a folder of the user's data: not of caches, which systems may clear,
    because it can hold what could not be uploaded.
    """
    # Buckets of different stores can have the same name.
    name = hashlib.blake2b(f"{store_endpoint(url)} {url}".encode(), digest_size=10).hexdigest()
    return _copies() / name / _COPY


def url_of_copy(folder: Path) -> str | None:
    """Return the URL of the stored workspace that an absolute folder is the local copy of; None for other folders."""
    if folder.name != _COPY or folder.parent.parent != _copies():
        return None
    try:
        url = (folder.parent / ADDRESS).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return url if store_url(url) == url and local_copy(url) == folder else None


def folder_of(workspace: str) -> Path:
    """Return the folder with the files of a workspace, which is named as in the summary of a command."""
    url = store_url(workspace)
    return local_copy(url) if url else from_text(workspace)


def _copies() -> Path:
    folder = os.environ.get("IMGCLUSTER_COPIES")
    if folder:
        return Path(os.path.abspath(folder))
    from platformdirs import user_data_path

    return user_data_path("imgcluster", appauthor=False) / "stored-workspaces"
