"""Signatures with the user's key."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from imgcluster.fileio.signature import is_signature, sign


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "data/key"
    monkeypatch.setenv("IMGCLUSTER_KEY", str(file))
    return file


def test_a_signature_is_of_these_texts_and_this_key(key: Path) -> None:
    signature = sign(["move", "a", "ä\udcff\n"])
    assert is_signature(signature, ["move", "a", "ä\udcff\n"])
    assert not is_signature(signature, ["move", "a'ä\udcff\n"])
    assert not is_signature(signature, ["mov", "ea", "ä\udcff\n"])
    assert not is_signature("", ["move", "a", "ä\udcff\n"])
    assert not is_signature("ä" * 64, ["move"])
    key.write_bytes(bytes(32))
    assert not is_signature(signature, ["move", "a", "ä\udcff\n"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_only_the_user_reads_the_key(key: Path) -> None:
    sign([])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert list(key.parent.iterdir()) == [key]


def test_a_damaged_key_is_replaced(key: Path) -> None:
    key.parent.mkdir()
    key.write_bytes(b"cut")
    assert not is_signature("0" * 64, [])
    assert is_signature(sign(["text"]), ["text"])


def test_nothing_is_signed_where_no_key_can_be_stored(key: Path) -> None:
    key.parent.write_bytes(b"a file")
    assert sign(["text"]) == ""
    assert not is_signature(sign(["text"]), ["text"])
