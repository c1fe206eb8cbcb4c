"""Finding the file of a plan, which browsers save in their download folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from imgcluster.errors import UsageError
from imgcluster.wording import quoted_argument

__all__ = ["find_plan"]


def find_plan(plan: str | os.PathLike[str]) -> Path:
    """Return the file of a plan; ``~`` is the home folder, also where the shell does not replace it.

    Raises:
        UsageError: It does not exist; the message names a plan in the download folder.
    """
    file = Path(plan)
    if file.is_file():
        return file
    at_home = Path(os.path.expanduser(file))
    if at_home.is_file():
        return at_home
    folders = [*_download_folders()]
    saved = [folder / file.name for folder in folders] + sorted(
        (found for folder in folders for found in folder.glob("imgcluster-plan*.json")), key=_changed, reverse=True
    )
    for found in saved:
        if found.is_file():
            raise UsageError(
                f"plan {file} does not exist; give the path of the one in your download folder: "
                f"{quoted_argument(str(found))}"
            )
    raise UsageError(
        f"plan {file} does not exist; save one on the page, report.html, and give the path of the file that your "
        "browser saved"
    )


def _download_folders() -> Iterator[Path]:
    home = Path(os.path.expanduser("~"))
    # Desktops of Linux give the folder a name in the user's language.
    names = home / ".config" / "user-dirs.dirs"
    if names.is_file():
        text = names.read_text(encoding="utf-8", errors="replace")
        for name in re.findall(r'^XDG_DOWNLOAD_DIR="(.+)"', text, re.MULTILINE):
            yield Path(name.replace("$HOME", str(home)))
    yield home / "Downloads"


def _changed(file: Path) -> tuple[int, str]:
    try:
        return file.stat().st_mtime_ns, file.name
    except OSError:
        return 0, file.name
