"""Signatures with a secret key of the user, by which imgcluster recognizes what it wrote itself for this user."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from imgcluster.fileio.atomic import temporary_path

__all__ = ["is_signature", "sign"]

_LOG = logging.getLogger(__name__)
_KEY_BYTES: Final = 32


def sign(parts: Iterable[str]) -> str:
    """Return the signature of a sequence of texts, hexadecimal; "" if there is no key and none can be stored."""
    key = _read_key() or _make_key()
    return "" if key is None else _signature(key, parts)


def is_signature(text: str, parts: Iterable[str]) -> bool:
    """Return whether `sign` returned `text` for these texts, with the key that the user has now."""
    key = _read_key() if text else None
    return key is not None and hmac.compare_digest(_signature(key, parts).encode(), text.encode(errors="replace"))


def _signature(key: bytes, parts: Iterable[str]) -> str:
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        # Quotes separate the texts.
        digest.update(ascii(part).encode())
    return digest.hexdigest()


def _key_file() -> Path:
    """Return the file of the key, ``IMGCLUSTER_KEY`` if that is set. It may not exist."""
    file = os.environ.get("IMGCLUSTER_KEY")
    if file:
        return Path(file)
    from platformdirs import user_data_path

    return user_data_path("imgcluster", appauthor=False) / "journal.key"


def _read_key() -> bytes | None:
    with suppress(OSError):
        key = _key_file().read_bytes()
        if len(key) == _KEY_BYTES:
            return key
    return None


def _make_key() -> bytes | None:
    """Store a new key that only the user can read; None if it cannot be stored."""
    path = _key_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_path(path.parent) as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except OSError as error:
        _LOG.debug("no key could be stored in %s: %s", path, error)
    # Another process may have stored its own.
    return _read_key()
