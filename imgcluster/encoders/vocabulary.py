"""Vocabularies: the words that clusters get their suggested names from."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from pathlib import Path

from imgcluster.errors import UsageError

__all__ = ["bundled_vocabulary", "read_vocabulary"]


@cache
def bundled_vocabulary() -> tuple[str, ...]:
    """Return about 2,000 everyday nouns and scenes in English."""
    return _words((files("imgcluster.encoders") / "vocabulary.txt").read_text(encoding="utf-8"))


def read_vocabulary(file: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the words of a text file in UTF-8: one word or phrase per line; lines that begin with # are comments.

    Raises:
        UsageError: The file does not exist, is not text, or has no word.
    """
    try:
        words = _words(Path(file).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"--vocabulary {file} cannot be read ({error.strerror}); give a text file with one word per line"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"--vocabulary {file} is not text in UTF-8; give one word per line") from None
    if not words:
        raise UsageError(f"--vocabulary {file} has no word; give one per line")
    return words


def _words(text: str) -> tuple[str, ...]:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
