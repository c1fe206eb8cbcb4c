"""A hook of mkdocs: links to files outside docs/ become text, because the site does not contain these files."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page with each link out of docs/ replaced by its text."""
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"`\1`", markdown)
